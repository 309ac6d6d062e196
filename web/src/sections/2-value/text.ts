// The words of section 2. Figures of the model are filled in from the engine: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'Training asks one question over and over: if this number were a little larger, would the loss be larger or smaller, and by how much? The answer is called the *gradient* of that number. The model has {num_params} of them to ask about, and a `Value` is the whole machinery that answers.',
  ],
  plain: [
    'Think of a recipe whose cake came out too sweet. Anyone can trace that back: so much from the sugar, so much from the icing, and the icing itself was made of sugar. A `Value` is a number that keeps its own recipe: what it was made from, and how strongly it answers to a change of each ingredient. Nothing more is needed to pass the blame back to every ingredient of the kitchen at once.',
  ],
  technical: [
    'This is reverse-mode automatic differentiation over scalars. A `Value` holds `data`, `grad`, at most two operands and the two partial derivatives with respect to them, computed on the spot during the forward pass. One backward pass gives the derivative of one output with respect to all inputs, for a small constant times the cost of the forward pass; asking by finite differences would cost a forward pass for each input. Frameworks do the same with whole tensors for nodes.',
  ],
}

export const explorer: Words = {
  both: [
    'Below is a real graph of the program’s `Value`s. Push the sliders: the values move down the graph. Then play: `backward` starts at the result with a gradient of 1, because the result answers to itself one for one, and each node in turn hands on to its operands its own gradient times the local gradient of the edge. That is the chain rule, and it is all there is.',
  ],
  plain: [
    'If the bank pays you half of what you pay in, and the tax leaves you two thirds of that, a coin more at the start is half of two thirds at the end: along a path one multiplies. If your money goes two ways to the same purse, what arrives adds up: over paths one adds.',
  ],
}

export const slopes: Words = {
  both: [
    'Each operation knows only one thing about itself: its slope at the place where it stands. That number was fixed the moment the operation ran, and it waits on the edge of the graph until backward comes by.',
  ],
  plain: [
    'Stand somewhere on the curve and take a small step to the right. How far does the ground rise, for the width of your step? For `exp` there is a pretty answer: exactly as much as the height you are standing at. A thing that grows in proportion to what is already there, like money at interest, is the one thing whose growth and whose size are the same number.',
  ],
  technical: [
    'Why is the local gradient of `exp` itself? Because `exp` is the function that is its own derivative; the code therefore stores the result it has just computed, and no second call of `exp` is needed. Try: pull the point along the curve of exp, and compare its height with its slope. `+` stores 1 and 1, `*` stores each operand at the place of the other, `log` stores one over x, a power stores n · x to the power n − 1. Subtraction, negation and division are not operations of their own: they are put together from these.',
  ],
}

export const gate: Words = {
  both: [
    'One operation has no smooth slope at all. `relu` is open or closed, and it treats blame as it treats values: through, or not.',
  ],
  plain: [
    'A closed gate is an alibi. Whatever went wrong further up, this number did not contribute to it, so no blame reaches it, and whatever stands behind it learns nothing this time.',
  ],
  technical: [
    'At exactly zero `relu` has no derivative; the program takes 0, as PyTorch does. A unit whose gate is closed for every input of the data gets a gradient of exactly zero and is called dead: nothing but a change of what it reads can open it again. The model’s own dead units are in the section on the forward pass; the rows of zeros that closed gates leave behind are in the section on the update.',
  ],
}

export const ways: Words = {
  both: [
    'Three details of `backward` look like decoration. Leave one out and the answer is wrong, although nothing crashes. Choose *x used twice*, the *diamond* or *two paths* above, and look at the columns.',
  ],
  plain: [
    '*Why +=?* A number that is used twice gets blame from two sides, and owes the sum. Writing = keeps only what came last, as if a letter box threw out the old post at each delivery.',
    '*Why in this order?* A node must wait until everybody who used it has reported. If it passes on what it has so far, it has to come again when more arrives, and the first part is handed on twice.',
    '*Why does a second backward not give the same again?* Because nobody emptied the boxes. Every new delivery comes on top of the old one, which is why the program sets each parameter’s gradient back to zero after each update.',
  ],
  technical: [
    'Topological order: every node after all nodes that use it. The naive walk, which recurses into an operand as soon as it has handed something over, re-sends what it has sent already and visits a node once for every path: its cost can double with each level, where the ordered walk visits each node once.',
    'A second `backward` doubles the gradient of inputs that feed the result directly. Deeper ones get more than double, because the nodes between keep their first gradient too and pass the sum on; PyTorch drops the gradients of intermediate nodes, so there it is exactly double. Accumulating on purpose, with a forward pass anew each time, is how a batch larger than memory is made: gradients of documents add.',
    'The central difference, (f(x + h) − f(x − h)) / 2h, is an authority from outside: its own error falls with the square of h, until rounding takes over. It is how every engine of this project is checked.',
  ],
}

export const depth: Words = {
  both: [
    'The expressions above are toys, but the real thing differs only in size. To find the order, the program walks through the graph with a list of its own as its memory, where one would at first write a function that calls itself.',
  ],
  plain: [
    'A function that calls itself piles up unfinished calls like plates, one for each step of the longest chain, and Python lets the pile grow only so high. A list has no such limit.',
  ],
  technical: [
    'Why not recursion? Python raises `RecursionError` beyond the limit below, and its C stack is finite besides. Most of the depth of this graph comes from running sums, since `sum` of n terms is a chain of n − 1 additions, and every layer adds its share: with more layers or a wider model a recursive walk that worked yesterday stops working. An explicit stack costs the same and depends on memory alone. Try: write a longer word into the box at the top, and watch the chain grow; then begin a model of several layers in section 8.',
  ],
}
