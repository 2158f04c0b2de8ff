// What is wrong before anything is sent: only what must not leave the page or has no document yet.

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/;
const CREDENTIAL = /^(env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/;

export function localFaults(name, { credential }) {
  const faults = [];
  const fault = (path, message) => faults.push({ path: `backends.${name}${path}`, message });
  if (!NAME.test(name)) fault(".@name", "starts with a letter or a digit; then letters, digits or any of . _ : @ / -");
  // Whoever pastes the key itself must not send it anywhere.
  if (credential !== undefined && !CREDENTIAL.test(credential)) {
    fault(".credential", "must be a reference, never the key itself: env:NAME or file:/absolute/path");
  }
  return faults;
}
