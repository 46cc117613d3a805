// A browser, and pages in it that are signed in and note what must never happen.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { eventually } from "./server.mjs";

const kChromium = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
const kArguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const startBrowser = () => chromium.launch({ executablePath: kChromium, args: kArguments });

// A page in a fresh context; what went wrong in it is checked when the test is over.
export async function openPage(t, browser, server, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, locale: "en-GB", ...options });
  context.setDefaultTimeout(15_000);
  const wrong = [];
  const here = new URL(server.url).origin;
  context.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== here && protocol !== "blob:") wrong.push(`request to ${request.url()}`);
    if (request.url().includes("smt_")) wrong.push(`key in ${request.url()}`);
  });
  context.on("dialog", (dialog) => {
    wrong.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on("weberror", (error) => wrong.push(`exception ${error.error().message}`));
  context.on("console", (message) => {
    if (/content security policy/i.test(message.text())) wrong.push(message.text());
  });
  const page = await context.newPage();
  t.after(async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  });
  return page;
}

export async function signIn(page, server, key, remember = false) {
  await page.goto(server.url);
  await page.getByLabel("API key").fill(key);
  if (remember) await page.getByLabel("Stay signed in on this device").check();
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
}

// Where it is. A view that is drawn anew has it nowhere for a moment.
export const placeOf = (locator) => eventually("a place on the page", () => locator.boundingBox());

// How much wider the page is than the window.
export const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// Elements that only markup could have made.
export const kLive = "main script, main img, main iframe, main style, main b, main i:not(.skeleton i), main a:not([href^='#/'])";
