// npx eslint@9 -c tests/player/eslint.config.mjs trainviz/player/static
import js from "@eslint/js";

export default [
  js.configs.recommended,
  {
    languageOptions: {
      ecmaVersion: 2022,
      sourceType: "module",
      // The types are checked by tsc, which also finds names that do not exist.
      globals: {},
    },
    rules: { "no-undef": "off", eqeqeq: "error", "prefer-const": "error", "no-var": "error" },
  },
];
