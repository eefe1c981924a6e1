// What eslint checks, in test_script.py.
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
