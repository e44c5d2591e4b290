// Playlists of recordings are read as hosts write them.
import assert from "node:assert/strict";
import { test } from "node:test";

import { partAt, readPlaylist } from "../src/playlist.ts";

const TEXT = `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:8
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="init-01.mp4?ticket=x"
#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z
#EXTINF:4.000,
0-20.m4s?ticket=x
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-02.mp4"
#EXTINF:2.500,
30-42.m4s
#EXT-X-ENDLIST
`;

test("a playlist says which parts there are, where they begin and what they need", () => {
  const { parts, ended } = readPlaylist(TEXT, "http://host/hls/a/index.m3u8");
  assert.equal(ended, true);
  assert.deepEqual(parts[0], {
    url: "http://host/hls/a/0-20.m4s?ticket=x",
    init: "http://host/hls/a/init-01.mp4?ticket=x",
    start: 0,
    duration: 4,
    discontinuity: false,
    date_ms: 1_700_000_000_000,
  });
  assert.deepEqual([parts[1]?.start, parts[1]?.discontinuity, parts[1]?.init], [4, true, "http://host/hls/a/init-02.mp4"]);
  assert.deepEqual([0, 3.9, 4, 6.4, 6.5, 99].map((at) => partAt(parts, at)), [0, 0, 1, 1, 2, 2]);
});

test("what is no playlist is refused", () => {
  assert.throws(() => readPlaylist("<!doctype html>", "http://host/"));
});
