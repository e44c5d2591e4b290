// Where nodes are drawn: the source in the middle, one tree to its left, the other to its right, one ring for each level.

import { byName, type Name, type Node, SOURCE } from "./model.ts";

/** One node in one tree. */
export interface Spot {
  name: Name;
  /** 0 to the left, 1 to the right. */
  tree: 0 | 1;
  /** In the unit circle. */
  x: number;
  y: number;
  depth: number;
  /** The index of the spot above; -1 at the source. */
  above: number;
}

/** The trees: for each node above, those below. */
type Tree = Map<Name, Name[]>;

/** Trees deeper than this are cut: something is wrong with them. */
const DEPTH_MAX = 64;
/** The halves leave a gap of this angle at top and bottom. */
const GAP = 0.12;

/** All spots, the source first. Of stripes each has a tree with everybody in it. */
export function layOut(nodes: ReadonlyMap<Name, Node>): Spot[] {
  const striped = [...nodes.values()].some((node) => new Set(node.parents).size > 1);
  const trees = striped ? [stripe(nodes, 0), stripe(nodes, 1)] : halves(nodes);
  const spots: Spot[] = [{ name: SOURCE, tree: 0, x: 0, y: 0, depth: 0, above: -1 }];
  const deepest = Math.max(1, ...trees.map(depthOf));
  const both = trees.every((tree) => tree.size > 0);
  trees.forEach((tree, index) => {
    const side: 0 | 1 = index === 0 ? 0 : 1;
    const middle = side === 0 ? Math.PI : 0;
    const width = both ? Math.PI - GAP : 2 * Math.PI;
    place(spots, tree, side, middle - width / 2, middle + width / 2, deepest);
  });
  return spots;
}

/** Who feeds whom in one stripe. */
function stripe(nodes: ReadonlyMap<Name, Node>, index: number): Tree {
  const tree: Tree = new Map();
  for (const node of ordered(nodes)) {
    const above = node.parents[index] ?? node.parents[0];
    if (above !== undefined && node.name !== SOURCE) add(tree, above, node.name);
  }
  return tree;
}

/** The trees of the two sides: by the place's letter, else so that both are alike. */
function halves(nodes: ReadonlyMap<Name, Node>): [Tree, Tree] {
  const whole = stripe(nodes, 0);
  const trees: [Tree, Tree] = [new Map(), new Map()];
  const sizes: [number, number] = [0, 0];
  for (const root of whole.get(SOURCE) ?? []) {
    const letter = nodes.get(root)?.place.charAt(0);
    const side = letter === "A" ? 0 : letter === "B" ? 1 : sizes[0] <= sizes[1] ? 0 : 1;
    add(trees[side], SOURCE, root);
    sizes[side] += copy(whole, trees[side], root);
  }
  return trees;
}

/** Copies what is below a root; the number of nodes. */
function copy(whole: Tree, into: Tree, root: Name): number {
  const seen = new Set([root]);
  for (const above of seen) {
    for (const below of whole.get(above) ?? []) {
      if (seen.has(below)) continue;
      seen.add(below);
      add(into, above, below);
    }
  }
  return seen.size;
}

function add(tree: Tree, above: Name, below: Name): void {
  const children = tree.get(above);
  if (children) children.push(below);
  else tree.set(above, [below]);
}

function ordered(nodes: ReadonlyMap<Name, Node>): Node[] {
  return [...nodes.values()].sort((a, b) => byName(a.name, b.name));
}

/** Each level with the nodes of it, and how many leaves are below each node. */
function levelsOf(tree: Tree): { levels: Name[][]; leaves: Map<Name, number> } {
  const levels: Name[][] = [[SOURCE]];
  const seen = new Set([SOURCE]);
  for (let level = levels[0]; level && level.length > 0 && levels.length <= DEPTH_MAX; level = levels.at(-1)) {
    const next = level.flatMap((above) => tree.get(above) ?? []).filter((name) => !seen.has(name) && seen.add(name));
    if (next.length === 0) break;
    levels.push(next);
  }
  const leaves = new Map<Name, number>();
  for (const level of [...levels].reverse()) {
    for (const name of level) {
      const below = (tree.get(name) ?? []).reduce((sum, child) => sum + (leaves.get(child) ?? 0), 0);
      leaves.set(name, Math.max(1, below));
    }
  }
  return { levels, leaves };
}

function depthOf(tree: Tree): number {
  return levelsOf(tree).levels.length - 1;
}

/** Puts a tree's nodes between two angles: each gets as much of its parent's part as it has leaves. */
function place(spots: Spot[], tree: Tree, side: 0 | 1, from: number, to: number, deepest: number): void {
  const { levels, leaves } = levelsOf(tree);
  const parts = new Map<Name, { from: number; to: number; index: number }>([[SOURCE, { from, to, index: 0 }]]);
  levels.slice(0, -1).forEach((level, depth) => {
    for (const above of level) {
      const part = parts.get(above);
      const children = (tree.get(above) ?? []).filter((child) => leaves.has(child) && !parts.has(child));
      if (!part || children.length === 0) continue;
      const total = children.reduce((sum, child) => sum + (leaves.get(child) ?? 1), 0);
      let begin = part.from;
      for (const child of children) {
        const end = begin + ((part.to - part.from) * (leaves.get(child) ?? 1)) / total;
        const [angle, radius] = [(begin + end) / 2, (depth + 1) / deepest];
        parts.set(child, { from: begin, to: end, index: spots.length });
        spots.push({
          name: child,
          tree: side,
          x: Math.cos(angle) * radius,
          y: Math.sin(angle) * radius,
          depth: depth + 1,
          above: part.index,
        });
        begin = end;
      }
    }
  });
}
