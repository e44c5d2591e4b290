import assert from "node:assert/strict";
import { test } from "node:test";

import { APPEND_BYTES_MAX, AppendQueue, type Sink, WAITING_BYTES_MAX } from "../src/queue.ts";

class FakeSink implements Sink {
  updating = false;
  done: string[] = [];
  ranges: [number, number][] = [];
  full = 0;

  get buffered(): TimeRanges {
    const ranges = this.ranges;
    return { length: ranges.length, start: (i) => ranges[i]![0], end: (i) => ranges[i]![1] };
  }

  appendBuffer(bytes: BufferSource): void {
    assert.equal(this.updating, false, "one append at a time");
    if (this.full > 0) {
      this.full -= 1;
      throw Object.assign(new Error("full"), { name: "QuotaExceededError" });
    }
    this.done.push(`append ${bytes.byteLength}`);
    this.updating = true;
  }

  remove(start: number, end: number): void {
    assert.equal(this.updating, false);
    this.done.push(`remove ${start}-${end}`);
    this.ranges = this.ranges.map(([from, to]) => [Math.max(from, end), to]);
    this.updating = true;
  }

  changeType(mime: string): void {
    this.done.push(`type ${mime}`);
  }
}

function world(head = 0): { sink: FakeSink; queue: AppendQueue; failures: string[]; finish: () => void } {
  const sink = new FakeSink();
  const failures: string[] = [];
  const queue = new AppendQueue(sink, () => head, (reason) => failures.push(reason));
  const finish = (): void => {
    sink.updating = false;
    queue.pump();
  };
  return { sink, queue, failures, finish };
}

const segment = (length: number): Uint8Array => new Uint8Array(length);

test("segments that wait are appended together", () => {
  const { sink, queue, finish } = world();
  for (const length of [10, 20]) queue.push(segment(length));
  queue.pump();
  for (const length of [30, 40]) queue.push(segment(length));
  finish();
  assert.deepEqual(sink.done, ["append 30", "append 70"]);
  assert.equal(queue.idle, false);
  finish();
  assert.equal(queue.idle, true);
});

test("one append stays within its bound", () => {
  const { sink, queue, finish } = world();
  for (let i = 0; i < 3; i += 1) queue.push(segment(APPEND_BYTES_MAX / 2));
  finish();
  finish();
  assert.deepEqual(sink.done, [`append ${APPEND_BYTES_MAX}`, `append ${APPEND_BYTES_MAX / 2}`]);
});

test("a change of type keeps its place", () => {
  const { sink, queue, finish } = world();
  queue.push(segment(1));
  queue.push(segment(2));
  queue.changeType("video/webm");
  queue.push(segment(3));
  finish();
  finish();
  assert.deepEqual(sink.done, ["append 3", "type video/webm", "append 3"]);
});

test("what lies far behind the play head is removed, in steps", () => {
  const { sink, queue } = world(30);
  sink.ranges = [[16, 31]];
  queue.push(segment(1));
  queue.pump();
  assert.deepEqual(sink.done, ["append 1"], "four seconds too many are not worth a removal");
  sink.updating = false;
  sink.ranges = [[5, 31]];
  queue.pump();
  assert.deepEqual(sink.done.at(-1), "remove 0-20");
});

test("a paused head does not keep data for ever", () => {
  const { sink, queue } = world(1);
  sink.ranges = [[0, 100]];
  queue.push(segment(1));
  queue.pump();
  assert.deepEqual(sink.done, ["remove 0-30"]);
});

test("without room the past is given up and the segment tried again", () => {
  const { sink, queue, failures, finish } = world(8);
  sink.ranges = [[0, 9]];
  sink.full = 1;
  queue.push(segment(5));
  queue.pump();
  assert.deepEqual(sink.done, ["remove 0-7"]);
  finish();
  assert.deepEqual(sink.done, ["remove 0-7", "append 5"]);
  assert.deepEqual(failures, []);
});

test("a sink that takes nothing is told and not fed for ever", () => {
  const { queue, failures } = world();
  for (let bytes = 0; bytes <= WAITING_BYTES_MAX; bytes += 4 * 1024 * 1024) queue.push(segment(4 * 1024 * 1024));
  queue.push(segment(4 * 1024 * 1024));
  assert.ok(failures.length > 0);
});
