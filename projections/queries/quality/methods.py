"""Says how each figure of a quality report is computed.

The sentences are printed below the figures, and are in the JSON under the same names, so that nobody has to look into
the source to report a figure.
"""

from __future__ import annotations

from collections.abc import Mapping

from .final_labels import MIN_ITEM_ANSWERS, MIN_WORKER_ANSWERS
from .worker_signs import FAST_SCORE, MIN_SERIES, MIN_TEXT, UNLIKELY

#: How each figure is computed.
METHODS: Mapping[str, str] = {
    "work": "Agreement and labels count ordinary work that is not rejected or soft-rejected; figures of workers count "
    "everything they submitted.",
    "question": "A value in the outputs. Texts are a choice if there are at most 20 different ones and most were given "
    "more than once; numbers are one if at most 20 differ; the rest is free text, or a number.",
    "percent": "Equal pairs of answers to the same item, of all pairs.",
    "alpha": "Krippendorff's alpha over all items with two or more answers: 1 is agreement, 0 is chance. Nominal: "
    "answers are equal or not. Interval: squared differences of numbers.",
    "fleiss_kappa": "Fleiss' kappa over the items with the most usual number of answers.",
    "cohen_kappa": "Mean of Cohen's kappa over pairs of workers who share at least 5 items, weighted by these.",
    "first_answers": "Where stop_when looks at the answers to a question, its agreement is computed from the first "
    "ones to each item, as many as every item gets (min). Items get more only if these do not agree, so all answers "
    "would show too much agreement. With a min of 1 all answers count, and the figures are too high.",
    "adjudicated": "The answers that reviewers decided after looking at those of the workers; the latest decision "
    "holds, and is the item's label before that of any method.",
    "final": "The label of an item in exports: the decision of a reviewer; else the label by the run's stop_when, with "
    f"its probability; else Dawid-Skene's, if workers gave {MIN_WORKER_ANSWERS} answers or more in the median, items "
    f"have {MIN_ITEM_ANSWERS} or more on average, and somebody gave that answer to the item; else the majority or the "
    "median.",
    "majority": "The most frequent answer; of several, the first in order. Confidence: its share of the answers.",
    "median": "The median of the numbers.",
    "dawid_skene": "Dawid and Skene's model by crowd-kit, 100 iterations. Confidence: the probability of the label. "
    "Skill: the probability that the worker's answer is right, at the estimated shares of the choices.",
    "shares": "Shares of the choices among items, corrected for wrong answers, with 95 % credible intervals: the mode "
    "of the posterior, and its curvature on the scale of log odds. Model: every answer is right with one probability, "
    "the accuracy, and wrong in all ways with the same. Why an item got no more answers makes no difference.",
    "accuracy": "Probability that an answer is right, estimated together with the shares from how far answers agree.",
    "posterior": "Probability that a label is right, by the same model, shares and accuracy, whatever its method. "
    "Interval: the same at the two ends of the interval of the accuracy.",
    "mace": "MACE by crowd-kit, 50 iterations. Confidence: the probability of the label. Skill: the "
    "probability that the worker is not guessing.",
    "pieces": "Submitted units of all kinds, whatever the verdict.",
    "median_seconds": "The median time from the start of a piece of work to its submission.",
    "skill": "Mean of the worker's Dawid-Skene skills, weighted by answers.",
    "agreement": "Equal pairs of answers, of all pairs that the worker is part of, in questions with a choice.",
    "rank": "Workers by skill, or by agreement without crowd-kit; 1 is the best.",
    "gold": "Gold units that the launch script's callback called right, of all that it answered.",
    "adjudicated_right": "Answers equal to what reviewers decided, of all answers of the worker on which they decided, "
    "in questions with a choice.",
    "screening": "The same for screening units.",
    "fast": f"Pieces whose time has a modified z-score below {FAST_SCORE} among the logarithms of all times.",
    "signals": "Counted by the stock page, if the task asks for it: the mean share of pasted characters in texts, and "
    "medians of keys, of times that the tab was hidden, and of seconds to the first key. Dictation, screen readers, "
    "input methods, reloads and copied names change them: they are never a reason by themselves.",
    "same_in_a_row": "The longest series of pieces in which all choices were answered the same. It is a sign from "
    f"{MIN_SERIES} on, if its chance for somebody who answers like all others is below {UNLIKELY}.",
    "repeated_texts": f"Free texts of {MIN_TEXT} characters or more that were submitted before for another item.",
}
