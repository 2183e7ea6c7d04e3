// Numbers for people.

const REPORT = given.report;
const wasRun = REPORT.passes.length > 0 || Object.keys(REPORT.seconds).length > 0; // a run may have no pass; else models were compared
const numberText = (number) => (number ?? 0).toLocaleString("en-US");

function bytesText(count) {
  if (count === null || count === undefined) return "–";
  let [amount, unit] = [count, 0];
  while (amount >= 1024 && unit < 4) [amount, unit] = [amount / 1024, unit + 1];
  return unit ? `${amount.toFixed(1)} ${["", "KiB", "MiB", "GiB", "TiB"][unit]}` : `${count} B`;
}

function secondsText(seconds) {
  return seconds < 0.0995 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`;
}

function share(before, after) {
  if (!before || after === null || before === after) return "";
  const percent = ((after - before) / before) * 100;
  if (Math.abs(percent) < 0.01) return percent > 0 ? "a little more" : "a little less";
  const words = Math.abs(percent) < 0.1 ? percent.toFixed(2) : Math.abs(percent) < 10 ? percent.toFixed(1) : percent.toFixed(0);
  return `${percent > 0 ? "+" : "−"}${words.replace("-", "")} %`;
}

function short(number) {
  if (typeof number !== "number") return String(number ?? "–");
  return number !== 0 && Math.abs(number) < 1e-3 ? number.toExponential(2) : String(Number(number.toPrecision(3)));
}

function verdictKind(verdict) {
  if (["equal bits", "within tolerance"].includes(verdict)) return "good";
  return verdict === "different" ? "bad" : "plainly";
}

function sizes(held) {
  return Object.entries(held).map(([name, size]) => `${name}=${size}`);
}

/** The last parts of a path, which say where it is in its package. */
function shortPath(path) {
  return path.split(/[\\/]/).slice(-3).join("/");
}
