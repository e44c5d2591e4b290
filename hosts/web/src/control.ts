// The WebSocket to the coordinator.

import type { Admission } from "./admission.ts";
import type { Cancel, Clock } from "./clock.ts";
import type { Bytes } from "./records.ts";

/** A connection that is not open after this long counts as failed, in milliseconds. */
const OPEN_MS_MAX = 4_000;
/** A connection with more unsent bytes than this counts as ended. */
const UNSENT_BYTES_MAX = 1024 * 1024;

/** What a control connection tells its owner. */
export interface ControlEvents {
  controlUp(): void;
  controlDown(): void;
  controlMessage(message: Uint8Array): void;
  /** The host does not let this page in; why, for people to read. */
  controlDenied(reason: string): void;
}

/** One connection at a time, to the endpoint the node asks for. */
export class Control {
  readonly #endpoints: readonly string[];
  readonly #events: ControlEvents;
  readonly #clock: Clock;
  readonly #admission: Admission;
  #socket: WebSocket | null = null;
  /** Counts attempts, so that the answer to an earlier question opens nothing. */
  #attempt = 0;
  /** The base address last asked for. */
  endpoint: string | null = null;
  #deadline: Cancel = () => undefined;
  /** A connection to the first endpoint that nobody has asked for yet. */
  #early: WebSocket | null;

  /** With the connection to the first endpoint if it was opened [earlyConnection]. */
  constructor(endpoints: readonly string[], early: WebSocket | null, clock: Clock, admission: Admission, events: ControlEvents) {
    this.#endpoints = endpoints;
    this.#early = early;
    this.#admission = admission;
    this.#clock = clock;
    this.#events = events;
  }

  /** Opens a connection to an endpoint by its number; the present one ends first. */
  open(index: number): void {
    const early = index === 0 ? this.#early : null;
    if (early) this.#early = null;
    this.close();
    const endpoint = this.#endpoints[index];
    this.endpoint = endpoint ?? null;
    if (endpoint === undefined) return this.#events.controlDown();
    if (early && early.readyState <= WebSocket.OPEN) return this.#take(early, endpoint);
    // Most hosts let everybody in, and their connections wait for nothing.
    if (this.#admission.isOpen(endpoint)) this.#connect(endpoint, null);
    else void this.#enter(endpoint, this.#attempt);
  }

  /** Asks to be let in, and connects with the ticket. */
  async #enter(endpoint: string, attempt: number): Promise<void> {
    try {
      const ticket = await this.#admission.ticket(endpoint);
      if (attempt === this.#attempt) this.#connect(endpoint, ticket);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#events.controlDenied((error as Error).message);
      this.#events.controlDown();
    }
  }

  #connect(endpoint: string, ticket: string | null): void {
    const socket = connect(endpoint, ticket);
    if (!socket) return this.#events.controlDown();
    this.#take(socket, endpoint);
  }

  #take(socket: WebSocket, endpoint: string): void {
    this.#socket = socket;
    let opened = false;
    this.#deadline = this.#clock.after(OPEN_MS_MAX, () => this.#ended(socket));
    const up = (): void => {
      this.#deadline();
      opened = true;
      if (this.#socket === socket) this.#events.controlUp();
    };
    socket.onopen = up;
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (this.#socket === socket && event.data instanceof ArrayBuffer) {
        this.#events.controlMessage(new Uint8Array(event.data));
      }
    };
    socket.onclose = () => {
      if (!opened && this.#socket === socket) this.#admission.doubt(endpoint);
      this.#ended(socket);
    };
    if (socket.readyState === WebSocket.OPEN) up();
  }

  /** Ends the connection; nothing more is told of it. */
  close(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#early?.close();
    this.#early = null;
    this.#attempt += 1;
    this.#deadline();
    // A goodbye that was just sent still goes out: close() flushes.
    socket?.close();
  }

  /** Sends a message; without an open connection it is lost, as the node knows. */
  send(message: Bytes): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > UNSENT_BYTES_MAX) return this.#ended(socket);
    socket.send(message);
  }

  #ended(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    this.close();
    this.#events.controlDown();
  }
}

/** Opens the connection that is going to be asked for first, while its owner gets ready. Where a ticket is wanted that has to wait. */
export function earlyConnection([endpoint]: readonly string[], admission: Admission): WebSocket | null {
  return endpoint !== undefined && admission.isOpen(endpoint) ? connect(endpoint, null) : null;
}

function connect(endpoint: string, ticket: string | null): WebSocket | null {
  try {
    const socket = new WebSocket(controlUrl(endpoint, ticket));
    socket.binaryType = "arraybuffer";
    return socket;
  } catch {
    return null;
  }
}

/** The address of a host's control connection, with the ticket that it wants to see. */
export function controlUrl(endpoint: string, ticket: string | null = null): string {
  const url = new URL("api/v1/control", endpoint);
  if (ticket !== null) url.searchParams.set("ticket", ticket);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
