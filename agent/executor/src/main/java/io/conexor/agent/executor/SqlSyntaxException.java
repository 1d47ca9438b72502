package io.conexor.agent.executor;

/** The gate's way out of a text it will not accept; becomes a {@link Verdict.Refused}. */
final class SqlSyntaxException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String code;
  private final int position;

  SqlSyntaxException(String code, String reason, int position) {
    super(reason, null, false, false);
    this.code = code;
    this.position = position;
  }

  String code() {
    return code;
  }

  int position() {
    return position;
  }

  String reason() {
    return String.valueOf(getMessage());
  }
}
