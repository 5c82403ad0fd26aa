/** The `Status` object that the real server sends with every error. */
export function statusObject(code: number, message: string, reason = "") {
  return { kind: "Status", apiVersion: "v1", status: "Failure", message, reason, code };
}
