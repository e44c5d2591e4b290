// Who decides what is said about relaying.
import assert from "node:assert/strict";
import { test } from "node:test";

import { type HostPolicy, policyOf } from "../src/policy.ts";

const policy = (attributes: Record<string, string>, host?: HostPolicy) => policyOf((name) => attributes[name] ?? null, host);
const HOST = { consent: "ask", metered: "relay", notice: "The host's.", notice_href: "https://host.example/", upload_mbps: 6 };

test("without a word from anybody the viewer is told, and a metered line is spared", () => {
  const usual = { consent: "inform", metered: false, notice: null, href: null, upload_mbps: null };
  assert.deepEqual(policy({}), usual);
  assert.deepEqual(policy({}, { notice: null, notice_href: null, upload_mbps: null }), usual);
});

test("the host's word holds where the page says nothing", () => {
  const expected = { consent: "ask", metered: true, notice: "The host's.", href: "https://host.example/", upload_mbps: 6 };
  assert.deepEqual(policy({}, HOST), expected);
});

test("the page's attributes come before what the host says", () => {
  const attributes = { consent: "silent", metered: "rest", notice: "The page's.", "notice-href": "/policy", "upload-mbps": "2.5" };
  const expected = { consent: "silent", metered: false, notice: "The page's.", href: "/policy", upload_mbps: 2.5 };
  assert.deepEqual(policy(attributes, HOST), expected);
});

test("words that make no sense are no words", () => {
  const odd = { consent: 7, metered: {}, notice: ["x"], notice_href: 1, upload_mbps: "much" } as unknown as HostPolicy;
  const usual = { consent: "inform", metered: false, notice: null, href: null, upload_mbps: null };
  assert.deepEqual(policy({ consent: "perhaps", metered: "", "upload-mbps": "-1" }, odd), usual);
  assert.equal(policy({ consent: "perhaps" }, HOST).consent, "ask");
});
