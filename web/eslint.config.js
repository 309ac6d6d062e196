// Lint rules for the page's code. Prettier is responsible for the layout, svelte-check for the types.

import js from '@eslint/js'
import svelte from 'eslint-plugin-svelte'
import { defineConfig, globalIgnores } from 'eslint/config'
import globals from 'globals'
import ts from 'typescript-eslint'
import svelteConfig from './svelte.config.js'

export default defineConfig(
  globalIgnores(['public/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  ts.configs.recommended,
  svelte.configs.recommended,
  {
    rules: {
      '@typescript-eslint/no-empty-object-type': ['error', { allowObjectTypes: 'always' }], // a request without parameters
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      'svelte/no-useless-mustaches': 'off', // {' '} keeps a space that the layout would swallow
      'svelte/no-unused-svelte-ignore': 'off', // mistakes the reason after the code for more codes
      'svelte/prefer-svelte-reactivity': 'off', // does not recognise a local Map or Set, which nothing observes
      'svelte/require-each-key': 'off', // figures redraw whole lists, whose items have no identity but their index
    },
  },
  { files: ['src/**'], languageOptions: { globals: globals.browser } },
  { files: ['*.{js,mjs,ts}'], languageOptions: { globals: globals.node } },
  {
    files: ['**/*.{ts,svelte}'],
    rules: { 'no-undef': 'off' }, // the compiler checks names
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { extraFileExtensions: ['.svelte'], parser: ts.parser, svelteConfig } },
  },
)
