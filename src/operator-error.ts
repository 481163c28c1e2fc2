/**
 * Something the operator has to mend before the node can start: a bad setting, a database that cannot be
 * reached, a folder in use. The message is written for them, says what to do, and holds no secret; the
 * process prints it alone and exits with code 1.
 */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
}
