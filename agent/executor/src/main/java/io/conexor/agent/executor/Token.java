package io.conexor.agent.executor;

import java.text.Normalizer;
import java.util.Locale;

/**
 * One token of a statement, as the engine would see it.
 *
 * @param value the meaning: a name without its quotes and with escapes decoded, an operator's
 *     characters
 * @param start offset of the first character in the original text
 * @param end offset behind the last character
 * @param fold the value as engines compare names: upper case, without accents (see {@link #fold})
 */
record Token(Kind kind, String value, int start, int end, String fold) {

  enum Kind {
    /** A name or keyword without quotes. */
    WORD,
    /** A quoted name. */
    NAME,
    /** MySQL's double quotes: a string or a name, depending on the server's mode. */
    EITHER,
    STRING,
    NUMBER,
    PARAMETER,
    VARIABLE,
    OPERATOR,
    /** One of {@code ( ) [ ] , ; .} */
    MARK
  }

  Token(Kind kind, String value, int start, int end) {
    this(
        kind,
        value,
        start,
        end,
        kind == Kind.WORD || kind == Kind.NAME || kind == Kind.EITHER ? fold(value) : value);
  }

  boolean isWord(String upper) {
    return kind == Kind.WORD && fold.equals(upper);
  }

  boolean isMark(char mark) {
    return kind == Kind.MARK && value.charAt(0) == mark;
  }

  boolean isOperator(String operator) {
    return kind == Kind.OPERATOR && value.equals(operator);
  }

  boolean isName() {
    return kind == Kind.WORD || kind == Kind.NAME || kind == Kind.EITHER;
  }

  /**
   * Upper case without accents and compatibility forms. Engines look names up by collation: MariaDB
   * runs {@code SLÉEP}, H2 upper-cases a dotless i to I, so {@code FıLE_READ} is {@code FILE_READ}
   * there.
   */
  static String fold(String name) {
    boolean ascii = true;
    for (int i = 0; i < name.length(); i++) {
      if (name.charAt(i) >= 0x80) {
        ascii = false;
        break;
      }
    }
    if (ascii) {
      return name.toUpperCase(Locale.ROOT);
    }
    String upper = Normalizer.normalize(name, Normalizer.Form.NFKD).toUpperCase(Locale.ROOT);
    StringBuilder bare = new StringBuilder(upper.length());
    upper
        .codePoints()
        .filter(
            c ->
                Character.getType(c) != Character.NON_SPACING_MARK
                    && Character.getType(c) != Character.FORMAT)
        .forEach(bare::appendCodePoint);
    return bare.toString();
  }
}
