import js from "@eslint/js";
import tseslint from "typescript-eslint";

// Data flows one way; these are the rooms that a room must not reach into.
const never = (files, patterns, message) => ({
  files,
  rules: { "no-restricted-imports": ["error", { patterns: [{ group: patterns, message }] }] },
});

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "coverage/", "tools/pulumi/"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      eqeqeq: "error",
    },
  },
  never(
    ["lib/kinds/**/*.ts"],
    [
      "execa",
      "node:fs*",
      "node:net",
      "node:child_process",
      "@pulumi/*",
      "@grpc/*",
      "**/host/**",
      "**/provider/**",
      "**/synth/**",
    ],
    "kinds are pure functions: no I/O and no other room",
  ),
  never(
    ["lib/host/**/*.ts"],
    ["**/kinds/*", "!**/kinds/step", "@pulumi/*", "**/provider/**", "**/synth/**", "**/constructs/**"],
    "a host session knows no kind by name",
  ),
  never(
    ["lib/provider/**/*.ts"],
    ["**/synth/**", "**/constructs/**", "**/lab/**"],
    "the plugin serves any program",
  ),
  never(
    ["constructs/**/*.ts"],
    [
      "execa",
      "node:fs*",
      "node:net",
      "node:child_process",
      "@pulumi/*",
      "**/host/**",
      "**/provider/**",
      "**/lab/**",
    ],
    "constructs hold intent: no I/O and no registration",
  ),
  never(["stacks/**/*.ts"], ["**/lib/**", "**/constructs/**"], "a stack is a consumer: import from netloom"),
  {
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
    },
  },
  {
    files: ["**/*.mjs", "**/*.cjs"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        module: "writable",
        require: "readonly",
        __dirname: "readonly",
        setTimeout: "readonly",
        URL: "readonly",
      },
    },
  },
);
