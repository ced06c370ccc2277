// Elements. Text goes in as text and never as markup: ids are whatever a tenant wrote.

/** The element of an id in index.html. */
export const at = (id) => document.getElementById(id);

/** A new element. properties: as on the element, `dataset` and ARIA attributes included; children: elements or text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name.startsWith("aria-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Set an element's text, where it differs: a live region speaks only of what is new. */
export function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
