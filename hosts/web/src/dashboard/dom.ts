// Small helpers around the document.

/** The element of this selector, of which there must be one. */
export function find<T extends HTMLElement = HTMLElement>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) throw new Error(`no ${selector} in the page`);
  return found;
}

/** A new element with a text. */
export function element(tag: string, text = "", classes = ""): HTMLElement {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

/** Writes a text only if it is another one, so that what is read out is not read again. */
export function say(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Fills a list of definitions. What stays the same is left alone. */
export function definitions(list: HTMLElement, entries: [title: string, value: string, note?: string][]): void {
  const wanted = JSON.stringify(entries);
  if (list.dataset["shown"] === wanted) return;
  list.dataset["shown"] = wanted;
  list.replaceChildren(
    ...entries.map(([title, value, note]) => {
      const group = document.createElement("div");
      group.append(element("dt", title), element("dd", value));
      if (note) group.append(element("dd", note, "note"));
      return group;
    }),
  );
}
