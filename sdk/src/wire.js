/** A date of the wire as a Date; null stays null. */
export function date(text) {
  return text ? new Date(text) : null;
}

/** Attributes are a JSON text on the wire and a value for apps. */
export function attributes(text) {
  if (text === undefined || text === null || text === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** What an app gives as attributes, as the wire wants it; left out when it gives none. */
export function attributesText(value) {
  return value === undefined || value === null ? undefined : JSON.stringify(value);
}

/** Whether two values of attributes, dates or fields say the same. */
export function same(one, other) {
  if (one === other) return true;
  if (one instanceof Date && other instanceof Date) return one.getTime() === other.getTime();
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  return JSON.stringify(one) === JSON.stringify(other);
}

/**
 * Writes fields that changed into `target`.
 * @returns the names of those that did
 */
export function assign(target, fields) {
  const changed = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || same(target[name], value)) continue;
    target[name] = value;
    changed.push(name);
  }
  return changed;
}

/** Fields without those that are undefined, which do not stand in JSON. */
export function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** A random identifier. Pages without TLS have no `crypto.randomUUID`. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** When a JWT ends, in milliseconds since 1970; null when it cannot be read. */
export function expiry(token) {
  try {
    const claims = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return typeof claims.exp === "number" ? claims.exp * 1000 : null;
  } catch {
    return null;
  }
}
