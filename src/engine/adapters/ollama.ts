import { gauge } from "#engine/signal/formula.ts";
import type { Adapter } from "./adapter.ts";

/** Ollama has no metrics; it lists the models that it holds (`GET /api/ps`). */
export const ollama: Adapter = {
  engine: "ollama",
  title: "Ollama",
  port: 11_434,
  path: "/api/ps",
  otherPaths: [],
  enable: "Ollama always serves /api/ps",
  checked: {
    versions: "0.33",
    source: "ollama/ollama: api/types.go",
    lacks: "everything about requests: it has no metrics",
  },
  owns: () => false,
  signals: { loaded_models: [gauge("ollama_loaded_models")] },
  fromJson: (page) =>
    typeof page === "object" && page !== null && "models" in page && Array.isArray(page.models)
      ? [{ name: "ollama_loaded_models", labels: {}, value: page.models.length }]
      : undefined,
};
