// What a page is, and what it is given.
import type { Session } from "./session";

export interface View {
  title: string; // For the tab.
  element: HTMLElement;
  // Called once the element is in the page.
  shown?(): void;
  // A key that no control took; true if it meant something here.
  key?(event: KeyboardEvent): boolean;
  // Stops what still runs. The element is gone afterwards.
  close(): void;
}

// Where the reader was in a list, so that coming back finds the place again.
export interface Place {
  hash: string;
  count: number; // How many rows were loaded.
  id: string; // The row that was opened.
}

export interface Context {
  session: Session;
  go(hash: string): void;
  // Changes the address without a new entry in the history and without a new page.
  rewrite(hash: string): void;
  back(): void;
  setTitle(title: string): void;
  place: Place | null;
}
