// Time zones: that of this device, and all that the browser knows.

const UTC = "UTC";

/** That of this device; UTC where the browser cannot tell. */
export const DEVICE_ZONE = deviceZone();

/** Whether the browser has clocks for a zone of this name. An offset is no zone: the API takes names. */
export function isZone(name) {
  try {
    return /^[A-Za-z]/.test(name) && new Intl.DateTimeFormat("en", { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
}

/** What to choose from: [{ label, zones }], the zones of one part of the world together. */
export function zoneGroups() {
  const parts = new Map([["Here and UTC", new Set([DEVICE_ZONE, UTC])]]);
  for (const zone of Intl.supportedValuesOf?.("timeZone") ?? []) {
    const part = zone.includes("/") ? zone.slice(0, zone.indexOf("/")) : "Other";
    if (!parts.has(part)) parts.set(part, new Set());
    if (zone !== UTC && zone !== DEVICE_ZONE) parts.get(part).add(zone);
  }
  return [...parts].map(([label, zones]) => ({ label, zones: [...zones] })).filter(({ zones }) => zones.length > 0);
}

function deviceZone() {
  const named = new Intl.DateTimeFormat().resolvedOptions().timeZone ?? UTC;
  return isZone(named) ? named : UTC;
}
