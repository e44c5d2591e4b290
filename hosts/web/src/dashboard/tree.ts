// Draws the trees on a canvas: who feeds whom, who is in trouble, and what is being repaired.

import { layOut, type Spot } from "./layout.ts";
import { byName, isInTrouble, type Model, type Moment, type Name, SOURCE } from "./model.ts";
import { colour } from "./sentences.ts";

/** Nodes move to a new place in this time, in milliseconds. */
const MOVE_MS = 500;
/** Of more spots than this none moves: each frame would cost too much. */
const MOVING_MAX = 600;
/** A ring around a node to which something has happened grows for this time. */
const RIPPLE_MS = 1_600;
/** Rings at once. */
const RIPPLES_MAX = 60;
/** A pointer this near to a node, in pixels, means it. */
const REACH = 16;
/** A node is behind when its lag is above the median by this much, in milliseconds, and by half. */
const BEHIND_MS = 300;

interface Colours {
  line: string;
  dim: string;
  ink: string;
  paper: string;
  accent: string;
  live: string;
  warn: string;
}

/** What a frame is drawn with. */
interface Picture {
  context: CanvasRenderingContext2D;
  colours: Colours;
  /** Where each spot is, in pixels. */
  places: [number, number][];
  /** Spots that stand out. */
  marked: ReadonlySet<number>;
  size: number;
}

/** What a node looks like. */
interface Look {
  fill: keyof Colours;
  ring: keyof Colours | null;
  hole: boolean;
  square: boolean;
  large: boolean;
  pale: boolean;
}

interface Drawn extends Spot {
  /** Where it was when the layout changed. */
  fromX: number;
  fromY: number;
}

interface Ripple {
  name: Name;
  began: number;
  colour: "trouble" | "repair" | "plain";
}

/** The picture of the trees, and which node is looked at. */
export class TreeView {
  private spots: Drawn[] = [];
  private below: number[][] = [];
  private changed = 0;
  private ripples: Ripple[] = [];
  private places: [number, number][] = [];
  private hovered: Name | null = null;
  private chosen: Name | null = null;
  private scheduled = false;
  /** The trees without what moves, drawn when something has changed. */
  private readonly still = document.createElement("canvas");
  private stale = true;
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");

  /** `choose` is told when another node is looked at. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly model: Model,
    private readonly choose: (name: Name | null) => void,
  ) {
    new ResizeObserver(() => this.redraw()).observe(canvas);
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.redraw());
    canvas.addEventListener("pointermove", (event) => this.hover(this.at(event)));
    canvas.addEventListener("pointerleave", () => this.hover(null));
    canvas.addEventListener("click", (event) => this.select(this.at(event)));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** The node that is looked at. */
  get selected(): Name | null {
    return this.chosen;
  }

  /** Looks at a node. */
  select(name: Name | null): void {
    this.chosen = name;
    this.choose(name);
    this.redraw();
  }

  /** The model has changed. */
  update(shape: boolean, moments: Moment[]): void {
    const now = performance.now();
    if (shape) this.arrange(now);
    const ripple = (moment: Moment): Ripple => ({ name: moment.node, began: now, colour: colour(moment) });
    const fresh = this.calm.matches ? [] : moments.map(ripple);
    this.ripples = [...this.ripples, ...fresh].slice(-RIPPLES_MAX);
    this.redraw();
  }

  private arrange(now: number): void {
    const before = new Map(this.spots.map((spot) => [key(spot), this.where(spot, now)]));
    this.spots = layOut(this.model.nodes).map((spot) => {
      const [fromX, fromY] = before.get(key(spot)) ?? [spot.x * 0.9, spot.y * 0.9];
      return { ...spot, fromX, fromY };
    });
    this.below = this.spots.map(() => []);
    this.spots.forEach((spot, index) => this.below[spot.above]?.push(index));
    this.changed = now;
  }

  private moves(): boolean {
    return !this.calm.matches && this.spots.length <= MOVING_MAX;
  }

  private where(spot: Drawn, now: number): [number, number] {
    const done = this.moves() ? Math.min(1, (now - this.changed) / MOVE_MS) : 1;
    const eased = 1 - (1 - done) ** 3;
    return [spot.fromX + (spot.x - spot.fromX) * eased, spot.fromY + (spot.y - spot.fromY) * eased];
  }

  /** Draws everything with the next frame. */
  private redraw(): void {
    this.stale = true;
    this.draw();
  }

  private draw(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame((now) => {
      this.scheduled = false;
      const moving = this.moves() && now - this.changed < MOVE_MS;
      this.paint(now);
      // Once more when all have arrived.
      if (moving) this.redraw();
      if (this.ripples.length > 0) this.draw();
    });
  }

  private frame(): { width: number; height: number; radius: number; middle: [number, number] } {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return { width, height, radius: Math.max(10, Math.min(width, height) / 2 - 16), middle: [width / 2, height / 2] };
  }

  private paint(now: number): void {
    const context = this.canvas.getContext("2d");
    const { width, height, radius, middle } = this.frame();
    if (!context || width === 0) return;
    const scale = devicePixelRatio || 1;
    const [pixelsX, pixelsY] = [Math.round(width * scale), Math.round(height * scale)];
    const places = (this.places = this.stale || this.places.length === 0 ? this.placesAt(now, radius, middle) : this.places);
    const size = Math.max(1.6, Math.min(8, (radius * 1.1) / Math.sqrt(this.spots.length + 1)));
    const colours = coloursOf(this.canvas);
    if (this.stale) {
      const still = sized(this.still, pixelsX, pixelsY, scale);
      const picture = { context: still, colours, places, marked: this.marked(), size };
      this.paintEdges(picture);
      this.paintNodes(picture);
      this.stale = false;
    }
    sized(this.canvas, pixelsX, pixelsY, 1);
    context.drawImage(this.still, 0, 0);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    this.paintRipples({ context, colours, places, marked: new Set(), size }, now);
  }

  private placesAt(now: number, radius: number, middle: [number, number]): [number, number][] {
    return this.spots.map((spot) => {
      const [x, y] = this.where(spot, now);
      return [middle[0] + x * radius, middle[1] + y * radius];
    });
  }

  /** The spots on the way from the looked-at node up to the source, and all below it. */
  private marked(): Set<number> {
    const name = this.hovered ?? this.chosen;
    const marked = new Set<number>();
    if (name === null) return marked;
    this.spots.forEach((spot, index) => {
      if (spot.name !== name || (name === SOURCE && index > 0)) return;
      for (let up = index; up >= 0 && !marked.has(up); up = this.spots[up]?.above ?? -1) marked.add(up);
      const queue = name === SOURCE ? [] : [index];
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        marked.add(next);
        queue.push(...(this.below[next] ?? []));
      }
    });
    return marked;
  }

  private paintEdges({ context, colours, places, marked, size }: Picture): void {
    const stroke = (style: string, width: number, wanted: (index: number) => boolean): void => {
      context.beginPath();
      this.spots.forEach((spot, index) => {
        const [from, to] = [places[spot.above], places[index]];
        if (!from || !to || !wanted(index)) return;
        context.moveTo(...from);
        context.lineTo(...to);
      });
      context.strokeStyle = style;
      context.lineWidth = width;
      context.stroke();
    };
    stroke(colours.line, size > 4 ? 1.5 : 1, (index) => !marked.has(index));
    if (marked.size > 0) stroke(colours.accent, size > 4 ? 2.5 : 1.6, (index) => marked.has(index));
  }

  /** Nodes that look alike are drawn together: a change of colour costs more than a node. */
  private paintNodes({ context, colours, places, marked, size }: Picture): void {
    const median = this.model.sums.number("lag_p50");
    const looks = new Map<string, Look & { indices: number[] }>();
    this.spots.forEach((spot, index) => {
      const look = this.lookOf(spot.name, median, marked.size > 0 && !marked.has(index));
      const id = Object.values(look).join();
      const known = looks.get(id);
      if (known) known.indices.push(index);
      else looks.set(id, { ...look, indices: [index] });
    });
    for (const { fill, ring, hole, square, large, pale, indices } of looks.values()) {
      const reach = size * (large ? 1.7 : ring ? 1.3 : 1);
      context.globalAlpha = pale ? 0.4 : 1;
      context.fillStyle = colours[fill];
      shapes(context, indices.flatMap((index) => places[index] ?? []), reach, square || reach < 2.2);
      context.fill();
      if (ring) {
        context.strokeStyle = colours[ring];
        context.lineWidth = 2;
        context.stroke();
      }
      if (hole) {
        context.fillStyle = colours.paper;
        shapes(context, indices.flatMap((index) => places[index] ?? []), size * 0.45, size < 4);
        context.fill();
      }
      context.globalAlpha = 1;
    }
  }

  private lookOf(name: Name, median: number, pale: boolean): Look {
    const node = this.model.nodes.get(name);
    const large = name === SOURCE;
    const trouble = node !== undefined && isInTrouble(node);
    const behind = node !== undefined && node.lag_ms > Math.max(median + BEHIND_MS, median * 1.5);
    return {
      fill: large ? "accent" : trouble ? "paper" : behind ? "warn" : "live",
      ring: trouble ? "warn" : name === this.chosen ? "ink" : null,
      hole: !large && !trouble && node?.relay === false,
      square: node?.role === "helper",
      large,
      pale: pale && !trouble,
    };
  }

  private paintRipples({ context, colours, places, size }: Picture, now: number): void {
    this.ripples = this.ripples.filter((ripple) => now - ripple.began < RIPPLE_MS);
    for (const ripple of this.ripples) {
      const place = places[this.spots.findIndex((spot) => spot.name === ripple.name)];
      if (!place) continue;
      const age = Math.max(0, (now - ripple.began) / RIPPLE_MS);
      context.globalAlpha = 1 - age;
      context.strokeStyle = { trouble: colours.warn, repair: colours.accent, plain: colours.live }[ripple.colour];
      context.lineWidth = 2;
      context.beginPath();
      context.arc(place[0], place[1], size + 2 + age * 18, 0, 2 * Math.PI);
      context.stroke();
      context.globalAlpha = 1;
    }
  }

  private at(event: MouseEvent): Name | null {
    const { radius, middle } = this.frame();
    const now = performance.now();
    let best: { name: Name; distance: number } | null = null;
    for (const spot of this.spots) {
      const [x, y] = this.where(spot, now);
      const distance = Math.hypot(middle[0] + x * radius - event.offsetX, middle[1] + y * radius - event.offsetY);
      if (distance <= REACH && distance < (best?.distance ?? Infinity)) best = { name: spot.name, distance };
    }
    return best?.name ?? null;
  }

  private hover(name: Name | null): void {
    if (name === this.hovered) return;
    this.hovered = name;
    this.canvas.style.cursor = name === null ? "" : "pointer";
    this.redraw();
  }

  /** Arrows go along the tree: to whoever feeds, to the first who is fed, to those beside. */
  private onKey(event: KeyboardEvent): void {
    const to = this.step(event.key);
    if (to === undefined) return;
    event.preventDefault();
    this.select(to);
  }

  private step(pressed: string): Name | null | undefined {
    if (pressed === "Escape") return null;
    if (!pressed.startsWith("Arrow")) return undefined;
    const name = this.chosen ?? SOURCE;
    if (this.chosen === null) return SOURCE;
    const parent = this.model.nodes.get(name)?.parents[0];
    if (pressed === "ArrowUp") return parent ?? SOURCE;
    if (pressed === "ArrowDown") return this.model.childrenOf(name)[0] ?? name;
    const beside = parent === undefined ? [] : this.model.childrenOf(parent).sort(byName);
    const index = beside.indexOf(name);
    const next = beside[(index + (pressed === "ArrowLeft" ? -1 : 1) + beside.length) % Math.max(1, beside.length)];
    return next ?? name;
  }
}

/** Clears a canvas and gives it this size. */
function sized(canvas: HTMLCanvasElement, width: number, height: number, scale: number): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas to draw on");
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return context;
}

/** A path of circles or squares around places: x, y, x, y and so on. */
function shapes(context: CanvasRenderingContext2D, places: number[], reach: number, square: boolean): void {
  context.beginPath();
  for (let index = 0; index + 1 < places.length; index += 2) {
    const [x, y] = [places[index] ?? 0, places[index + 1] ?? 0];
    if (square) {
      context.rect(x - reach, y - reach, 2 * reach, 2 * reach);
      continue;
    }
    context.moveTo(x + reach, y);
    context.arc(x, y, reach, 0, 2 * Math.PI);
  }
}

function key(spot: Spot): string {
  return `${spot.tree} ${spot.name}`;
}

function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    line: of("line"),
    dim: of("dim"),
    ink: of("ink"),
    paper: of("paper"),
    accent: of("accent"),
    live: of("live"),
    warn: of("warn"),
  };
}
