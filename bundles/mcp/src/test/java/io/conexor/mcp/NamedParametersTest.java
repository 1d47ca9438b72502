package io.conexor.mcp;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class NamedParametersTest {

  @Test
  void names_become_question_marks_in_order() {
    NamedParameters named =
        NamedParameters.of("select * from t where a = :a and b > :b_2 or :a = 1");

    assertThat(named.sql()).isEqualTo("select * from t where a = ? and b > ? or ? = 1");
    assertThat(named.names()).containsExactly("a", "b_2", "a");
  }

  @Test
  void what_only_looks_like_a_parameter_stays() {
    String sql =
        "select ':a', \":b\", `:c`, 'it''s :d', E'\\' :e', x::text, $$ :f $$, $q$ :g $q$ -- :h\n"
            + ", /* :i /* :j */ :k */ 1, '12:30' from t";

    assertThat(NamedParameters.of(sql).sql()).isEqualTo(sql);
    assertThat(NamedParameters.of(sql + " where z = :z").names()).containsExactly("z");
  }

  @Test
  void broken_statements_end_somewhere() {
    for (String sql :
        new String[] {"'", "\"a", "/*", "--", "$$", "$a$ :x", ":", "::", ":1", "E'\\"}) {
      assertThat(NamedParameters.of(sql).sql()).isEqualTo(sql);
    }
  }
}
