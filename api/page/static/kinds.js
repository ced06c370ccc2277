// What is counted and which rates follow, as the API names them; the page's tables and charts are made of these.

export const COUNTS = [
  { field: "sent", name: "Sent" },
  { field: "delivered", name: "Delivered", rate: "delivery", of: "sent" },
  { field: "opened", name: "Opened", rate: "open", of: "delivered" },
  { field: "clicked", name: "Clicked", rate: "click", of: "delivered" },
  { field: "bounced", name: "Bounced", rate: "bounce", of: "sent", dash: [7, 4] },
  { field: "complained", name: "Complained", rate: "complaint", of: "delivered", dash: [2, 3] },
];

// The colour (`field`) of a rate is that of what it is a part of.
export const RATES = [
  { field: "delivered", rate: "delivery", name: "Delivery" },
  { field: "opened", rate: "open", name: "Open" },
  { field: "clicked", rate: "click", name: "Click" },
  { field: "bounced", rate: "bounce", name: "Bounce", dash: [7, 4] },
  { field: "complained", rate: "complaint", name: "Complaint", dash: [2, 3] },
];
