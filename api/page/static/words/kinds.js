// What is counted and which rates follow, as the API names them; all that the page shows is made of these.

/** The six of the tiles. part: the detail that stands with it; of: what its rate is a part of. */
export const COUNTS = [
  { field: "sent", name: "Sent" },
  { field: "delivered", name: "Delivered", rate: "delivery", of: "sent" },
  {
    field: "opened",
    name: "Opened",
    rate: "open",
    of: "delivered",
    part: { field: "opened_human", rate: "human_open", name: "people" },
  },
  {
    field: "clicked",
    name: "Clicked",
    rate: "click",
    of: "delivered",
    part: { field: "clicked_human", rate: "human_click", name: "people" },
  },
  {
    field: "bounced",
    name: "Bounced",
    rate: "bounce",
    of: "sent",
    part: { field: "bounced_hard", rate: "hard_bounce", name: "hard" },
  },
  { field: "complained", name: "Complained", rate: "complaint", of: "delivered" },
];

export const BOUNCES = [
  { field: "bounced_hard", name: "Hard" },
  { field: "bounced_soft", name: "Soft" },
  { field: "bounced_undetermined", name: "Undetermined" },
  { field: "suppressed", name: "Suppressed" },
];

/** What is counted too, and has no place of its own. */
export const ALSO = [
  { field: "delayed", name: "Delayed" },
  { field: "rejected", name: "Rejected" },
  { field: "rendering_failed", name: "Rendering failed" },
  { field: "unsubscribed", name: "Unsubscribed" },
];

/** The columns of the points, and so what is asked for, in this order. */
export const COLUMNS = [
  ...COUNTS,
  { field: "opened_human", name: "Opened by people" },
  { field: "clicked_human", name: "Clicked by people" },
  { field: "bounced_hard", name: "Bounced hard" },
  { field: "bounced_soft", name: "Bounced soft" },
  { field: "bounced_undetermined", name: "Bounced undetermined" },
  ...BOUNCES.slice(3),
  ...ALSO,
];

// Lines of the charts. hue: the colour; that of a rate is the colour of what it is a part of.
export const COUNT_LINES = [
  { key: "sent", name: "Sent", hue: "sent" },
  { key: "delivered", name: "Delivered", hue: "delivered" },
  { key: "opened", name: "Opened", hue: "opened" },
  { key: "opened_human", name: "Opened by people", hue: "opened", dash: [6, 3] },
  { key: "clicked", name: "Clicked", hue: "clicked" },
  { key: "clicked_human", name: "Clicked by people", hue: "clicked", dash: [6, 3] },
  { key: "bounced", name: "Bounced", hue: "bounced", dash: [7, 4] },
  { key: "complained", name: "Complained", hue: "complained", dash: [2, 3] },
];
export const RATE_LINES = [
  { key: "delivery", name: "Delivery", hue: "delivered" },
  { key: "open", name: "Open", hue: "opened" },
  { key: "human_open", name: "Open by people", hue: "opened", dash: [6, 3] },
  { key: "click", name: "Click", hue: "clicked" },
  { key: "human_click", name: "Click by people", hue: "clicked", dash: [6, 3] },
  { key: "bounce", name: "Bounce", hue: "bounced", dash: [7, 4] },
  { key: "hard_bounce", name: "Hard bounce", hue: "bounced" },
  { key: "complaint", name: "Complaint", hue: "complained", dash: [2, 3] },
];

/** The columns of the groups: a count (`field`) or a rate. */
export const GROUP_COLUMNS = [
  { key: "sent", name: "Sent", field: "sent" },
  { key: "delivery", name: "Delivery", rate: "delivery" },
  { key: "open", name: "Open", rate: "open" },
  { key: "human_open", name: "Open by people", rate: "human_open" },
  { key: "click", name: "Click", rate: "click" },
  { key: "human_click", name: "Click by people", rate: "human_click" },
  { key: "hard_bounce", name: "Hard bounce", rate: "hard_bounce" },
  { key: "complaint", name: "Complaint", rate: "complaint" },
];
