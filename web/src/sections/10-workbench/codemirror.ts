// The editor: CodeMirror, in the page's colours. It is loaded separately because it is large; until then the section
// shows plain text. It lives in a shadow root that adopts its styles, since a style element in the page would violate
// the page's content security policy.

import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { python } from '@codemirror/lang-python'
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language'
import { highlightSelectionMatches } from '@codemirror/search'
import { EditorState, StateEffect, StateField } from '@codemirror/state'
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from '@codemirror/view'
import { tags } from '@lezer/highlight'

const theme = EditorView.theme({
  '&': {
    color: 'var(--ink)',
    backgroundColor: 'var(--raised)',
    fontSize: '0.78rem',
    maxHeight: 'min(34rem, 60vh)',
    borderRadius: 'var(--radius)',
  },
  '&.cm-focused': { outline: '2px solid var(--attention)', outlineOffset: '1px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55', overflow: 'auto' },
  '.cm-content': { caretColor: 'var(--ink)', fontVariantLigatures: 'none' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'color-mix(in srgb, var(--attention) 25%, transparent)',
  },
  '.cm-gutters': { color: 'var(--soft)', backgroundColor: 'var(--raised)', border: '0' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in srgb, var(--soft) 8%, transparent)' },
  '.cm-selectionMatch': { backgroundColor: 'color-mix(in srgb, var(--mlp) 18%, transparent)' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'color-mix(in srgb, var(--embedding) 25%, transparent)' },
  '.cm-own': { boxShadow: 'inset 3px 0 var(--embedding)' },
  '.cm-wrong': {
    backgroundColor: 'color-mix(in srgb, var(--loss) 18%, transparent)',
    boxShadow: 'inset 3px 0 var(--loss)',
  },
})

const colours = HighlightStyle.define([
  { tag: tags.keyword, fontWeight: '650' },
  { tag: [tags.string, tags.docString, tags.special(tags.string)], color: 'var(--embedding-ink)' },
  { tag: tags.comment, color: 'var(--soft)', fontStyle: 'italic' },
  { tag: tags.number, color: 'var(--attention-ink)' },
  {
    tag: [tags.function(tags.definition(tags.variableName)), tags.definition(tags.className)],
    color: 'var(--loss-ink)',
    fontWeight: '600',
  },
])

/** The line of an error, 0 if there is no error. */
const setWrong = StateEffect.define<number>()
const wrong = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(lines, transaction) {
    for (const effect of transaction.effects) {
      if (!effect.is(setWrong)) continue
      if (!effect.value || effect.value > transaction.state.doc.lines) return Decoration.none
      const mark = Decoration.line({ class: 'cm-wrong', attributes: { 'aria-invalid': 'true' } })
      return Decoration.set([mark.range(transaction.state.doc.line(effect.value).from)])
    }
    return lines.map(transaction.changes)
  },
  provide: (field) => EditorView.decorations.from(field),
})

/** The lines that differ from the file. */
const setOwn = StateEffect.define<number[]>()
const own = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(lines, transaction) {
    for (const effect of transaction.effects) {
      if (!effect.is(setOwn)) continue
      const { doc } = transaction.state
      const mark = Decoration.line({ class: 'cm-own' })
      return Decoration.set(
        effect.value.filter((line) => line <= doc.lines).map((line) => mark.range(doc.line(line).from)),
      )
    }
    return lines.map(transaction.changes)
  },
  provide: (field) => EditorView.decorations.from(field),
})

export interface Editor {
  /** Replace the entire text; the replacement can be undone. */
  set(text: string): void
  /** Mark a line as wrong and scroll to it; 0 removes the mark. */
  mark(line: number): void
  /** Mark the lines that were edited, given in ascending order. */
  own(lines: number[]): void
  /** Scroll to a line, without scrolling the page. */
  show(line: number): void
  destroy(): void
}

export function editor(
  host: HTMLElement,
  text: string,
  label: string,
  help: string,
  onchange: (text: string) => void,
): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' })
  const said = document.createElement('p')
  said.id = 'help'
  said.hidden = true
  said.textContent = help
  root.replaceChildren(said)
  root.addEventListener('keydown', (event) => event.stopPropagation()) // the page's own keys must not react to typing here
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        history(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        highlightSelectionMatches(),
        indentUnit.of('    '),
        EditorState.tabSize.of(4),
        EditorView.lineWrapping,
        python(),
        syntaxHighlighting(colours),
        theme,
        wrong,
        own,
        // Tab indents, as in any editor; after Escape, CodeMirror lets Tab leave the editor
        keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorView.contentAttributes.of({
          'aria-label': label,
          'aria-describedby': 'help',
          tabindex: '0',
          spellcheck: 'false',
        }),
        EditorView.updateListener.of((update) => update.docChanged && onchange(update.state.doc.toString())),
      ],
    }),
  })
  function show(line: number): void {
    if (line < 1 || line > view.state.doc.lines) return
    const { from } = view.state.doc.line(line)
    // the height of lines that were never rendered is a guess: once they are, scroll again
    const go = (more: number): void =>
      view.requestMeasure({
        read: () => view.lineBlockAt(from),
        write: ({ top, height }) => {
          view.scrollDOM.scrollTop = top + height / 2 - view.scrollDOM.clientHeight / 2
          if (more) requestAnimationFrame(() => go(more - 1))
        },
      })
    go(2)
  }
  return {
    set(text) {
      if (text !== view.state.doc.toString())
        view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } })
    },
    mark(line) {
      view.dispatch({ effects: setWrong.of(line) })
      show(line)
    },
    own: (lines) => view.dispatch({ effects: setOwn.of(lines) }),
    show,
    destroy: () => view.destroy(),
  }
}
