// The topics of the big picture: what to remember from each part of the program, and where to watch it happen.
import text from './topics.text'

export interface Topic {
  act: string
  title: string
  chapter: string // the chapter that plays the topic
  line: string // a piece of source text that identifies the line on which the topic comes up
  plain: string
  technical: string
}

const { acts, topics: words } = text

export const topics: Topic[] = [
  { act: acts.data, chapter: 'data', line: 'rng = random.Random(42)', ...words.seed },
  { act: acts.data, chapter: 'data', line: 'rng.shuffle(docs)', ...words.shuffle },
  { act: acts.data, chapter: 'data', line: 'tokenizer = Tokenizer(', ...words.vocabulary },
  { act: acts.mistakes, chapter: 'backward', line: 'order, seen, stack', ...words.values },
  { act: acts.mistakes, chapter: 'backward', line: 'node.a.grad +=', ...words.blame },
  { act: acts.model, chapter: 'forward', line: 'x = [t + p for t, p', ...words.embedding },
  { act: acts.model, chapter: 'forward', line: 'attn_weights = softmax(attn_logits)', ...words.spotlight },
  { act: acts.model, chapter: 'forward', line: 'for h in range(n_head)', ...words.heads },
  { act: acts.model, chapter: 'forward', line: 'x_residual = x  # attention', ...words.residual },
  { act: acts.model, chapter: 'forward', line: 'x = [activation(xi)', ...words.gate },
  { act: acts.training, chapter: 'loss', line: 'losses.append(', ...words.surprise },
  { act: acts.training, chapter: 'adam', line: 'p.data -=', ...words.adam },
  { act: acts.training, chapter: 'data', line: 'for step in range(num_steps)', ...words.loop },
  { act: acts.generating, chapter: 'sample', line: 'probs = softmax([logit / temperature', ...words.temperature },
  { act: acts.generating, chapter: 'sample', line: 'return token_ids', ...words.end },
  { act: acts.generating, chapter: 'data', line: 'print(f"num docs', ...words.scale },
]

/** Return the topic that comes up on a line of a chapter. */
export function topicAt(text: string, chapter: string): Topic | undefined {
  return topics.find(
    (topic) => topic.chapter === chapter && topic.line.length > 0 && text.startsWith(topic.line.replace(/ {2}#.*/, '')),
  )
}
