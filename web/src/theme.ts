// Light or dark: the system's choice until the reader makes one on this device.

const kStored = "samtale.theme";
type Theme = "light" | "dark";

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(kStored);
    return value === "light" || value === "dark" ? value : null;
  } catch {
    return null; // Storage switched off: the choice lasts for this page.
  }
}

export function applyTheme(): void {
  const theme = stored();
  if (theme !== null) document.documentElement.dataset["theme"] = theme;
}

export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset["theme"];
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function toggleTheme(): Theme {
  const next: Theme = currentTheme() === "dark" ? "light" : "dark";
  document.documentElement.dataset["theme"] = next;
  try {
    localStorage.setItem(kStored, next);
  } catch {
    // As above.
  }
  return next;
}
