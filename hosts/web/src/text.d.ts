declare module "*.css" {
  /** The file's text. */
  const text: string;
  export default text;
}
