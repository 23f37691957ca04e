// Rules for all JavaScript of the repository: `make lint`, or eslint with this file from the root.
import js from "@eslint/js";
import globals from "globals";

// A crowd provider's script defines them, before the page's own module runs.
const PROVIDER = ["getWorkerName", "getAssignmentId", "getAgentRegistration", "handleSubmitToProvider"];

export default [
  { ignores: ["**/node_modules/", "**/static/vendor/", "site/", "build/", ".venv/", "mephisto_data/"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2023, sourceType: "module" },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_", caughtErrors: "all" }],
      "no-var": "error",
      "no-self-compare": "error",
      "no-unmodified-loop-condition": "error",
      "no-unreachable-loop": "error",
      "no-implied-eval": "error",
      "no-return-assign": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
  {
    files: ["adapters/architects/router/node/**", "tests/browser/driver/**", "tools/**"],
    languageOptions: { globals: globals.node },
    rules: {
      "max-lines": ["error", { max: 400 }],
      "max-lines-per-function": ["error", { max: 60, skipComments: true }],
    },
  },
  {
    files: [
      "adapters/{blueprints,providers,rehearsal,web}/**",
      "examples/**",
      "docs/tutorial/**",
      "tests/adapters/rehearsal/**",
      "tests/browser/driver/**",
    ],
    languageOptions: { globals: globals.browser },
  },
  {
    files: ["adapters/blueprints/**"],
    languageOptions: { globals: Object.fromEntries(PROVIDER.map((name) => [name, "readonly"])) },
  },
  {
    files: ["adapters/providers/**"],
    languageOptions: { sourceType: "script" },
    rules: { "no-unused-vars": "off" },
  },
];
