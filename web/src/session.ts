// The key while signed in: in memory, and in this tab's storage only if the reader asked for it.
import { Client, type WhoAmI } from "./api";

const kStored = "samtale.key";

export interface Session {
  client: Client;
  who: WhoAmI;
}

export type Scope = "ingest" | "search" | "read" | "admin";

export const may = (session: Session, scope: Scope): boolean => session.who.scopes.includes(scope);

export function rememberedKey(): string | null {
  try {
    return sessionStorage.getItem(kStored);
  } catch {
    return null;
  }
}

export function forgetKey(): void {
  try {
    sessionStorage.removeItem(kStored);
  } catch {
    // Nothing was stored.
  }
}

// Whether it can be sent in a header at all; the server decides the rest.
export const isSendable = (key: string): boolean => /^[\x21-\x7e]{1,512}$/.test(key);

export async function signIn(key: string, remember: boolean, onRefused: () => void): Promise<Session> {
  const client = new Client(key, onRefused);
  const who = await client.whoami();
  if (remember) {
    try {
      sessionStorage.setItem(kStored, key);
    } catch {
      // Storage switched off: signed in until the page is reloaded.
    }
  }
  return { client, who };
}
