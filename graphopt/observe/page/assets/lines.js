// Edges as SVG paths.

/** A line from point to point that leaves and arrives upright, as SVG says it. */
function bent(points) {
  let path = `M${at(points, 0)}`;
  for (let next = 2; next < points.length; next += 2) {
    const middle = ((points[next - 1] + points[next + 1]) / 2).toFixed(1);
    const isStraight = Math.abs(points[next] - points[next - 2]) < 0.5;
    path += isStraight
      ? `L${at(points, next)}`
      : `C${points[next - 2].toFixed(1)},${middle} ${points[next].toFixed(1)},${middle} ${at(points, next)}`;
  }
  return path;
}

function at(points, place) {
  return `${points[place].toFixed(1)},${points[place + 1].toFixed(1)}`;
}

function tip(points) {
  const [x, y] = points.slice(-2);
  return `M${(x - 3.5).toFixed(1)},${(y - 6).toFixed(1)}L${x.toFixed(1)},${y.toFixed(1)}L${(x + 3.5).toFixed(1)},${(y - 6).toFixed(1)}`;
}

/** The lines over the free row between two regions. */
function seam(region, next) {
  let path = "";
  for (const [name, x] of region.ports) {
    if (!name.startsWith("out")) continue;
    const other = next.ports.get(`in${name.slice(3)}`);
    const [upper, lower] = [region.lower, next.upper];
    if (other !== undefined) path += bent([x, upper, other, lower]);
  }
  return path;
}
