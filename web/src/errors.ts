// What went wrong, and what the reader can do about it, in words.
import { ApiError } from "./api";

export interface Explanation {
  title: string;
  remedy: string;
  detail: string; // The request id, for the operator's log; may be empty.
  canRetry: boolean;
}

function remedyOf(error: ApiError): { title: string; remedy: string; canRetry: boolean } {
  const wait =
    error.retryAfterS === null ? "Try again in a moment." : `Try again in ${error.retryAfterS} s.`;
  switch (error.status) {
    case 0:
      return {
        title: "The server does not answer",
        remedy: "Check that samtale is running and that this machine reaches it, then try again.",
        canRetry: true,
      };
    case 401:
      return {
        title: "The key is not accepted",
        remedy: "Sign in again with a key that has not been revoked and has not expired.",
        canRetry: false,
      };
    case 403:
      return {
        title: "This key may not do that",
        remedy: `${error.message.replace(/\.$/, "")}. Sign in with a key that has the scope for it.`,
        canRetry: false,
      };
    case 404:
      return {
        title: "Not here",
        remedy: "It may have been deleted, or the address may be incomplete.",
        canRetry: false,
      };
    case 400:
    case 422:
      return { title: "The server did not take that", remedy: error.message, canRetry: false };
    case 429:
      return { title: "Too many requests for now", remedy: wait, canRetry: true };
    case 503:
      return { title: "The server is busy or starting", remedy: wait, canRetry: true };
    case 507:
      return {
        title: "The server's disk is full",
        remedy: "Free space in its data folder, then try again.",
        canRetry: true,
      };
    default:
      return {
        title: "Something went wrong",
        remedy: error.message === "" ? "Try again." : error.message,
        canRetry: true,
      };
  }
}

export function explain(error: unknown): Explanation {
  if (!(error instanceof ApiError)) {
    const what = error instanceof Error ? error.message : String(error);
    return { title: "Something went wrong here", remedy: what, detail: "", canRetry: true };
  }
  const detail = error.requestId === "" ? "" : `Request ${error.requestId}`;
  return { ...remedyOf(error), detail };
}
