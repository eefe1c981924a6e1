/** Lessons: the page stops and asks what will come. */

export const LESSON = true;
