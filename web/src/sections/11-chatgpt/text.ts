// The words of section 11. Figures of the model are filled in from the engine: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'Is this ChatGPT? In kind, yes: what answers in a chat window is trained by the loop you have seen, and writes by throwing the die you have seen, one token after another. In size, no, and not in manners either. Here is the difference, part by part, with what can be measured of it measured.',
  ],
  plain: [
    'A paper boat and a container ship float for the same reason. Who has understood the boat has understood floating; to build the ship takes harbours, engines and many people besides. What follows is the list of harbours.',
  ],
}

export const data: Words = {
  both: [
    '*Data.* Here it is a list of names, and for a large model a good part of the public web, books and programs, cleaned of what is broken, repeated or harmful. What does not change: it is text, cut into tokens, and the only question asked about it is what comes next.',
  ],
  plain: [
    'Nothing else teaches the model what it knows of the world. To guess the next word of a cookery book one has to learn some cooking; to guess the next line of a proof, some mathematics. Names only teach what names are like.',
  ],
  technical: [
    'One pass or less over the data is usual at scale, where this program begins again at its first document whenever all are read. How much data a model of a given size can use was measured: about twenty tokens for each parameter, when training is all that one pays for ([Hoffmann et al. 2022](https://arxiv.org/abs/2203.15556), the GPT called Chinchilla).',
  ],
}

export const tokenizer: Words = {
  both: [
    '*Tokenizer.* These are characters, not word pieces. Large models read pieces of words: a tokenizer is trained beforehand, which joins the pairs that occur most often, so that “the” is one token and a rare name is several. They begin from bytes rather than from letters, so that no text is unreadable.',
    '*Why does that matter?* A model of pieces never sees the letters inside them: this is why a large one may stumble over counting the letters of a word, and this small one cannot. Try: type a word with an accent, or an emoji, and see what this model lacks and what bytes would make of it.',
  ],
  technical: [
    'The algorithm is byte-pair encoding ([Sennrich et al. 2016](https://arxiv.org/abs/1508.07909)). Shorter sequences are bought with larger tables: two of vocab_size rows here, often one that serves as both. The program itself would not change by a line.',
  ],
}

export const tensors: Words = {
  both: [
    '*Tensors.* The reference computes number by number, and makes an object for each. Nobody trains like that: the same sums are done for whole matrices at once, by compiled code, on processors that are built for nothing else. It is the same arithmetic, and that can be shown: let both do the same steps, here, and compare.',
  ],
  plain: [
    'It is the difference between carrying every brick from the pile to the wall by hand, with a note of where it came from, and sending them up on a belt. The wall is the same wall.',
  ],
  technical: [
    'The kernel is C, compiled to WebAssembly where a browser runs it, with forward, backward and Adam written by hand. What it saves is not arithmetic but all that Python does around each operation. A GPU adds thousands of such units side by side; a batch exists to keep them busy. Numbers of 32 bits give up digits for speed, and large models are trained with 16 bits (bfloat16), which have fewer still.',
  ],
}

export const architecture: Words = {
  both: [
    '*Architecture.* Embeddings, attention, MLP, residual stream, norms, logits: all of it is in a large model too, with more layers and wider ones. Below, the table of this file is asked what models of published sizes need.',
  ],
  technical: [
    'What Llama does otherwise, line by line: positions are turned into the queries and keys (rotary embeddings) instead of added from `wpe`; the MLP has a third matrix that gates (SwiGLU); several query heads share one key and value head (grouped queries); norms have learned scales, and there is one before `lm_head`. Mixtures of experts have many MLPs and choose a few for each token. Each of these is an edit of a few lines.',
  ],
}

export const training: Words = {
  both: [
    '*Training.* Forward, loss, backward, Adam: the loop is the same, and so is the loss. What is added serves to keep it going for months on many machines: batches of millions of tokens, a warm-up of the learning rate, gradients that are clipped, checkpoints, and people who are called at night.',
  ],
  plain: [
    'The cost is easy to estimate: each token costs about six operations for each parameter, two on the way forward and four on the way back. The rest is how many tokens, and how many parameters.',
  ],
  technical: [
    'The data is split over machines (each has the model and a part of the batch; gradients are added up), and where a model does not fit one machine, its matrices and layers are split too. None of it changes what is computed, up to the order of sums. The published total for GPT-3 is in table D.1 of its paper; beside it stands what the arithmetic of this file gives for the same sizes.',
  ],
}

export const post: Words = {
  both: [
    '*Post-training.* What you have trained is a *base model*: it continues. Ask it something, and it goes on writing what such a text might go on with. To make it answer, training goes on with other documents: conversations that people wrote, then its own answers, of which people or programs say which are better.',
    'Try: greet the model below. It takes the greeting for the beginning of a name, because that is all it has ever read. A large base model greeted in the same way would continue a web page.',
  ],
  technical: [
    'Supervised fine-tuning is the loop of section 8 with the loss taken at the answer’s tokens only. After it comes learning from preferences ([Ouyang et al. 2022](https://arxiv.org/abs/2203.02155), InstructGPT), or from answers that can be checked. The weights move little, compared with what pre-training did, and no new part is built into the model. A chat is one document, in which special tokens, like BOS, say who speaks.',
  ],
}

export const serving: Words = {
  both: [
    '*Serving.* Each word of an answer is one call of `gpt` and one throw of the die, as in section 9. The keys and values of all that was said before are kept, since otherwise each token would cost a whole reading; and what many people ask at the same time is computed together.',
  ],
  plain: [
    'That is why an answer appears word by word: it is not for show. It also is why a long conversation costs more: there is more to look back at for each new word.',
  ],
  technical: [
    'Reading the question is limited by arithmetic, since all its positions can go at once; writing the answer by memory, since for every token all weights have to be fetched once. Hence weights in 8 or 4 bits, grouped-query attention, and small models that guess ahead and are checked by the large one. With attention over everything the cost of a token grows with what came before, as the figure shows.',
  ],
}

export const outro: Words = {
  both: [
    'So what is the answer? Everything that makes it work is on this page, and you have opened its numbers. What makes it *good* is data, size and care, and those cannot be read off a program: why so simple a loop, made large, learns so much is a question that nobody has answered yet.',
    'To take along: [the program as a notebook](./microgpt.ipynb), and [lesson plans for teachers](./teachers.html) with links into this page.',
  ],
}
