// A node's orders, as they lie in the module's memory. The layout is described in `wasm/src/record.rs`.

/** The size of one record, in bytes. */
export const RECORD_BYTES = 32;

/** What a record orders; the numbers are those of the module. */
export const Kind = {
  OpenControl: 1,
  CloseControl: 2,
  Control: 3,
  Open: 4,
  Signal: 5,
  Close: 6,
  Send: 7,
  Begin: 8,
  Init: 9,
  Deliver: 10,
  Skip: 11,
  Rate: 12,
  Seek: 13,
  Ended: 14,
  Refused: 15,
  WrongPublisher: 16,
  SetTimer: 17,
  Fetch: 18,
  EndFetch: 19,
  Turn: 20,
  FetchPast: 21,
  EndFetchPast: 22,
} as const;

/** A view into the module's memory, valid only until the next call of the module: copy what is to stay. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Which side of a link's set-up a page takes. */
export type Side = "offer" | "answer";

/** What a stream carries. */
export type Carries = "media" | "data";

/** Carries out a node's orders; one method each. */
export interface Orders {
  openControl(endpoint: number): void;
  closeControl(): void;
  control(message: Bytes): void;
  open(link: number, side: Side, ice: string[]): void;
  signal(link: number, message: Bytes): void;
  closeLink(link: number): void;
  send(link: number, lane: number, frame: Bytes): void;
  begin(carries: Carries): void;
  /** `title`: what is being played; it may change while type and header stay. */
  init(mime: string, title: string, header: Bytes): void;
  deliver(seq: number, segment: Bytes): void;
  skip(from: number, count: number): void;
  rate(rate: number): void;
  seek(seconds: number): void;
  ended(): void;
  refused(reason: string): void;
  wrongPublisher(key: string): void;
  setTimer(ms: number): void;
  fetch(from: number | null): void;
  endFetch(): void;
  /** What is delivered next does not go on where the last delivery ended; an init comes first. */
  turn(): void;
  fetchPast(from: number, count: number): void;
  endFetchPast(): void;
}

/** One record, read in place. */
export interface Fields {
  kind: number;
  a: number;
  b: number;
  value: number;
  bytes(): Bytes;
}

const text = new TextDecoder();
const LANES = 2;

/** Carries out one record. An unknown kind is a defect of the build, since module and driver are built together. */
export function carryOut(record: Fields, orders: Orders): void {
  switch (record.kind) {
    case Kind.OpenControl:
      return orders.openControl(record.a);
    case Kind.CloseControl:
      return orders.closeControl();
    case Kind.Control:
      return orders.control(record.bytes());
    case Kind.Open:
      return orders.open(record.a, record.b === 0 ? "offer" : "answer", lines(record.bytes()));
    case Kind.Signal:
      return orders.signal(record.a, record.bytes());
    case Kind.Close:
      return orders.closeLink(record.a);
    case Kind.Send:
      // A piece whose segment is gone has no bytes.
      return record.b < LANES && record.bytes().length > 0 ? orders.send(record.a, record.b, record.bytes()) : undefined;
    case Kind.Begin:
      return orders.begin(record.a === 0 ? "media" : "data");
    case Kind.Init:
      return init(orders, record);
    case Kind.Deliver:
      return orders.deliver(record.value, record.bytes());
    case Kind.Skip:
      return orders.skip(record.value, record.a);
    case Kind.Rate:
      return orders.rate(record.a / 1000);
    case Kind.Seek:
      return orders.seek(record.value / 1e6);
    case Kind.Ended:
      return orders.ended();
    case Kind.Refused:
      return orders.refused(text.decode(record.bytes()));
    case Kind.WrongPublisher:
      return orders.wrongPublisher(text.decode(record.bytes()));
    case Kind.SetTimer:
      return orders.setTimer(record.value / 1000);
    case Kind.Fetch:
      return orders.fetch(record.a === 1 ? record.value : null);
    case Kind.EndFetch:
      return orders.endFetch();
    case Kind.Turn:
      return orders.turn();
    case Kind.FetchPast:
      return orders.fetchPast(record.value, record.a);
    case Kind.EndFetchPast:
      return orders.endFetchPast();
    default:
      throw new Error(`unknown record ${record.kind}`);
  }
}

function init(orders: Orders, record: Fields): void {
  const bytes = record.bytes();
  const [mime, title] = [record.a, record.a + record.b];
  orders.init(text.decode(bytes.subarray(0, mime)), text.decode(bytes.subarray(mime, title)), bytes.subarray(title));
}

function lines(bytes: Bytes): string[] {
  return text.decode(bytes).split("\n").filter((line) => line !== "");
}
