// Runs in a worker: where the nodes of one region go, and how its edges run. dagre decides it; ranks are given.

/** problem: {widths, ranks, edges: [from, to, ...], height, gap} -> {x, y, paths, width}, in the region's own coordinates. */
function layOut(problem) {
  const graph = new dagre.graphlib.Graph({ multigraph: false });
  graph.setGraph({ ranker: "none", nodesep: 22, edgesep: 14, ranksep: problem.gap });
  graph.setDefaultEdgeLabel(() => ({}));
  problem.widths.forEach((width, item) => {
    graph.setNode(String(item), { width, height: problem.height, rank: 2 * problem.ranks[item] }); // dagre puts labels on odd ranks
  });
  let span = 0;
  for (let at = 0; at < problem.edges.length; at += 2) {
    const [from, to] = [problem.edges[at], problem.edges[at + 1]];
    graph.setEdge(String(from), String(to));
    span += problem.ranks[to] - problem.ranks[from];
  }
  // Sweeps to avoid crossings take long where a region is very wide; its first order is good enough then.
  dagre.layout(graph, { disableOptimalOrderHeuristic: problem.widths.length + span > 4000 });
  const places = problem.widths.map((_, item) => graph.node(String(item)));
  const paths = [];
  for (let at = 0; at < problem.edges.length; at += 2) {
    const { points } = graph.edge(String(problem.edges[at]), String(problem.edges[at + 1]));
    paths.push(points.flatMap((point) => [point.x, point.y]));
  }
  return { x: places.map((place) => place.x), y: places.map((place) => place.y), paths, width: graph.graph().width };
}

if (typeof WorkerGlobalScope !== "undefined") {
  onmessage = ({ data: { key, problem } }) => {
    postMessage({ key, result: layOut(problem) });
  };
}
