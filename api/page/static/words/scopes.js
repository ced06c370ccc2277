// Scopes (sequence, template and whatever else an installation counts by) as words. Pure.

/** How the API writes the name of a scope. */
export const SCOPE_SHAPE = /^[a-z][a-z0-9_]{0,31}$/;

/** Those that every installation has. */
export const FIRST_SCOPES = ["sequence", "template"];

const SETTINGS = { sequence: "SEQUENCE_TAG", template: "TEMPLATE_TAG" };

/** Its name at the start of a line: `configuration_set` is "Configuration set". */
export const nameOf = (scope) => scope.charAt(0).toUpperCase() + wordsOf(scope).slice(1);

/** Its name within a sentence, of one. */
export const wordsOf = (scope) => scope.replaceAll("_", " ");

/** Its name within a sentence, of many. */
export const manyOf = (scope) => (/(s|x|ch|sh)$/.test(scope) ? `${wordsOf(scope)}es` : `${wordsOf(scope)}s`);

/** The setting of the worker that says which message tag of a mail is its id in this scope. */
export const settingOf = (scope) => SETTINGS[scope] ?? "SCOPE_TAGS";
