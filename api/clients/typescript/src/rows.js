// Results as flat rows, such as tables, charts and data frames take. Results themselves stay plain JSON.

/** The points: `timestamp`, the fields, `status` and the rates where they are there, all with the same keys. */
export function rows({ timeseries }) {
  return timeseries.map(flat);
}

/** The groups and, with the id null, the others, so that the rows add up to the totals. */
export function groupRows({ groups, others }) {
  if (groups === undefined || others === undefined) throw new TypeError("there are no groups: ask with group_by");
  return [...groups, { id: null, ...others }].map(flat);
}

function flat({ rates = {}, ...row }) {
  return { ...row, ...Object.fromEntries(Object.entries(rates).map(([name, rate]) => [`${name}_rate`, rate])) };
}
