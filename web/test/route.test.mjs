import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { conversationHref, parseRoute } = await load("route.ts");

test("each address leads to its page and an unknown one to the search", () => {
  const pages = ["", "#/", "#/search?q=a", "#/conversations", "#/conversations/cnv_1", "#/live", "#/dead-letters", "#/x"];

  assert.deepEqual(
    pages.map((hash) => parseRoute(hash).page),
    ["search", "search", "search", "browse", "conversation", "live", "dead-letters", "search"],
  );
});

test("an id and its parameters survive the address, whatever is in them", () => {
  const id = 'a/b?c#d"%';

  const route = parseRoute(conversationHref(id, new URLSearchParams({ word: "a?b&c" })));

  assert.equal(route.id, id);
  assert.equal(route.parameters.get("word"), "a?b&c");
  assert.equal(parseRoute("#/conversations/%E0%A4%A").id, "%E0%A4%A");
});
