// The words of section 10.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'All that you have seen so far was computed by one file. Here it lies on the workbench: change it, run it, break it, and let every figure of this page follow what you made of it.',
  ],
  plain: [
    'Nothing can go wrong. The program runs in a room of its own in your browser; it can be stopped at any moment, whatever it does, and one click brings the file back as it was. What you write stays on this page: it is in no link and is sent nowhere, and it is gone when the page is closed, so save the file if you want to keep it.',
  ],
  technical: [
    '*Run* executes the text as `python reference.py names.txt` would, in a second worker with a Python of its own: `__name__` is `"__main__"`, and `names.txt` holds the bundled names or your own documents. Stopping ends that worker; the figures have another one and never wait for it.',
  ],
}

export const changes: Words = {
  both: [
    'If you do not know where to begin: here are changes that people have made to GPTs, or that GPTs have gone through. Each is a real edit of the text above; look at the difference it makes to the file, say what you expect of the losses, then measure it.',
  ],
}

export const follow: Words = {
  both: [
    'Run prints what the program prints. To look inside, let the figures of all sections follow your program: its forward pass, its gradients, its training and its samples are then what every section shows.',
  ],
  technical: [
    'The session compiles the text as a module, runs `main()` once with `loss()`, `adam()` and `sample()` replaced by functions that only note what they are given, and takes the sizes, the seed, the first parameters and the learning rates from there. From then on each number comes from your functions, in the same recording that shows the reference. A name is given only to what is made as the table of names says; where your program makes no such number, the figure says that in words. Nothing is computed with the unedited program in its place.',
  ],
}

export const runs: Words = {
  both: [
    'A change proves itself against the same run without it: the same seed, the same documents in the same order, the same first weights where the sizes are the same.',
  ],
}

export const files: Words = {
  both: [
    'A trained model can leave this page and come back. The file holds the {num_params} weights, the state of Adam, the settings and the alphabet; `microgpt sample` writes with it on your own machine, and a file from there can be opened here.',
  ],
}

export const pytorch: Words = {
  both: [
    'Nobody writes a large model out like this. Beside each line stands what does the same in PyTorch, the library that most of them are written with; put together, those lines are a whole program that gives the same losses and the same names.',
  ],
  plain: [
    'Much of the left side has nothing beside it: the numbers that remember how they were made are the library itself. What is left is short, and it is all that most people who train models ever see.',
  ],
  technical: [
    'The whole version computes in double precision, and the tests hold it against the published losses. In single precision, or on a GPU, sums are added in another order and the last digits differ.',
  ],
}
