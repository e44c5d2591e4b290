declare module "*.css" {
  /** The file's text. */
  const text: string;
  export default text;
}

declare module "worker:*" {
  /** A script for a Worker with all that it imports, as text; the bundler puts it in. */
  const text: string;
  export default text;
}
