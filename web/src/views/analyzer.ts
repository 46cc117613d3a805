// One analyzer: its definition to read and change, its versions, and its way back.
import type { Analyzer, AnalyzerWithVersions, Definition } from "../analysis_types";
import { isAbort } from "../api";
import { isShippedName, readDefinition, writeDefinition } from "../definition";
import { h, replace } from "../dom";
import { titleOf } from "../findings";
import { icon } from "../icons";
import { confirmThen } from "../parts/dialog";
import { clearProblems, formField, setProblem, showMistakes, textInput } from "../parts/form";
import { empty, failed, skeleton } from "../parts/states";
import { toast } from "../parts/toast";
import { analyzerHref, analyzersHref, type Route, trendsHref } from "../route";
import { may } from "../session";
import type { Context, View } from "../view";
import { analyzerForm } from "./analyzer_form";
import { makerWords, versionWords } from "./analyzers";
import { askBackfill } from "./backfill_form";

class AnalyzerPage implements View {
  readonly title: string;
  readonly element = h("div", { class: "page analyzer-page" });
  private readonly name: string; // Empty: a new one.
  private readonly newKind: string;
  private readonly stopped = new AbortController();

  constructor(
    private readonly context: Context,
    route: Route,
  ) {
    this.name = route.id;
    this.newKind = route.parameters.get("new") || "custom";
    this.title = this.name === "" ? "New analyzer" : titleOf(this.name);
  }

  shown(): void {
    if (!may(this.context.session, "read")) {
      replace(this.element, this.backLink(), empty("lock", "This key may not read analyzers", "Sign in with a key that has the read scope."));
    } else if (this.name === "") {
      this.show(null, { kind: this.newKind });
    } else {
      void this.load();
    }
  }

  key(event: KeyboardEvent): boolean {
    // A form that is half filled in is not left by a key.
    if (event.key !== "Escape" || (event.target instanceof Element && event.target.closest("form") !== null)) return false;
    this.context.go(analyzersHref(""));
    return true;
  }

  close(): void {
    this.stopped.abort();
  }

  private async load(): Promise<void> {
    replace(this.element, this.backLink(), skeleton(6));
    try {
      const analyzer = await this.context.session.client.analyzer(this.name, this.stopped.signal);
      if (!this.stopped.signal.aborted) this.show(analyzer, { ...analyzer });
    } catch (error) {
      if (isAbort(error) || this.stopped.signal.aborted) return;
      replace(this.element, this.backLink(), failed(error, () => void this.load()));
    }
  }

  private backLink(): HTMLElement {
    return h("a", { class: "back-link", href: analyzersHref("") }, icon("back"), "Analyzers");
  }

  // `definition` is what the form shows: the one in force, or a version before.
  private show(analyzer: AnalyzerWithVersions | null, definition: Definition): void {
    const isEditor = may(this.context.session, "admin");
    replace(
      this.element,
      this.backLink(),
      h(
        "div",
        { class: "page-head" },
        h("h1", {}, this.title),
        analyzer !== null && h("div", { class: "head-buttons" }, ...this.buttons(analyzer, isEditor)),
      ),
      analyzer !== null &&
        h("p", { class: "facts" }, h("span", { class: "mono" }, analyzer.name), h("span", {}, `version ${versionWords(analyzer)}`), h("span", {}, `made by: ${makerWords(analyzer)}`)),
      this.form(definition, isEditor),
      analyzer !== null && this.versions(analyzer, isEditor),
    );
  }

  private buttons(analyzer: Analyzer, isEditor: boolean): Array<HTMLElement | false> {
    const { name } = analyzer;
    const isReset = isShippedName(name);
    return [
      h("a", { class: "button", href: trendsHref(new URLSearchParams({ analyzer: name })) }, icon("trend"), "Trends"),
      isEditor && analyzer.active && h("button", { type: "button", onclick: () => void this.startBackfill(name) }, icon("redo"), "Back-fill…"),
      isEditor &&
        !analyzer.shipped &&
        h("button", { type: "button", class: "danger-quiet", onclick: () => this.askDelete(name, isReset) }, icon(isReset ? "redo" : "trash"), isReset ? "Reset…" : "Delete…"),
    ];
  }

  private form(definition: Definition, isEditor: boolean): HTMLElement {
    const isNew = this.name === "";
    const fields = analyzerForm(readDefinition(definition), isNew);
    const name = textInput("", { class: "mono", placeholder: "quality_check", autocapitalize: "off" });
    const problem = h("p", { class: "problem", role: "alert", tabindex: -1 });
    const save = h("button", { type: "submit", class: "primary" }, isNew ? "Create" : "Save as a new version");
    const submit = async (event: SubmitEvent): Promise<void> => {
      event.preventDefault();
      clearProblems(form);
      const read = fields.read();
      if (read === null) return;
      const called = isNew ? name.value.trim() : this.name;
      if (called === "") {
        setProblem(name, "is needed");
        name.focus();
        return;
      }
      save.disabled = true;
      try {
        const saved = await this.context.session.client.putAnalyzer(called, writeDefinition(read));
        const isSame = !isNew && saved.version === definition["version"] && !definition["shipped"];
        toast(isSame ? "Nothing was changed" : `Saved as version ${saved.version}`);
        if (isNew) this.context.go(analyzerHref(called));
        else await this.load();
      } catch (error) {
        save.disabled = false;
        showMistakes(form, error, problem);
      }
    };
    const form = h(
      "form",
      { class: "form card", novalidate: true, onsubmit: submit },
      h(
        "fieldset",
        { class: "plain", disabled: !isEditor },
        isNew && formField("Name", name, "/name", "1 to 40 of a to z, 0 to 9 and _, a letter first."),
        fields.element,
      ),
      problem,
      isEditor ? h("div", { class: "form-actions" }, save) : h("p", { class: "small muted" }, "To change this, sign in with a key that has the admin scope."),
    );
    return form;
  }

  private versions(analyzer: AnalyzerWithVersions, isEditor: boolean): HTMLElement | null {
    if (analyzer.versions.length === 0) return null;
    const items = [...analyzer.versions].reverse().map((one) => {
      const { version, shipped, by, ...definition } = one;
      const isInForce = version === analyzer.version && !analyzer.shipped;
      const use = (): void => {
        // Saving it makes a new version of it: history is not rewritten.
        this.show(analyzer, { ...one, version: analyzer.version, shipped: analyzer.shipped });
        toast(`Version ${version} is in the form; save it to use it again`);
        window.scrollTo(0, 0);
      };
      return h(
        "li",
        {},
        h(
          "details",
          { class: "raw" },
          h("summary", {}, `Version ${version}${isInForce ? ", in force" : ""}`),
          h("pre", { tabindex: 0, "aria-label": `Version ${version}` }, JSON.stringify(definition, null, 2)),
          isEditor && !isInForce && h("button", { type: "button", class: "small-button", onclick: use }, "Put into the form"),
        ),
      );
    });
    return h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, "Versions")), h("ol", { class: "versions" }, ...items));
  }

  private askDelete(name: string, isReset: boolean): void {
    confirmThen({
      title: isReset ? "Reset to as shipped?" : "Delete this analyzer?",
      text: isReset
        ? "What your company changed of it is no longer used. Its results so far stay."
        : `“${titleOf(name)}” is no longer run. Its results so far stay.`,
      action: isReset ? "Reset" : "Delete",
      tone: "danger",
      run: async () => {
        await this.context.session.client.deleteAnalyzer(name);
        toast(isReset ? "It is as shipped again" : "The analyzer is deleted");
        if (isReset) await this.load();
        else this.context.go(analyzersHref(""));
      },
    });
  }

  private async startBackfill(name: string): Promise<void> {
    const { client } = this.context.session;
    try {
      const analyzers = await client.analyzers(this.stopped.signal);
      askBackfill(client, analyzers, [name], () => {
        toast("The back-fill has started");
        this.context.go(analyzersHref("backfills"));
      });
    } catch (error) {
      if (!isAbort(error)) replace(this.element, this.backLink(), failed(error, () => void this.load()));
    }
  }
}

export function analyzerView(context: Context, route: Route): View {
  return new AnalyzerPage(context, route);
}
