package io.conexor.agent.executor;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import net.sf.jsqlparser.expression.NextValExpression;
import net.sf.jsqlparser.expression.VariableAssignment;
import net.sf.jsqlparser.statement.ExplainStatement;
import net.sf.jsqlparser.statement.ParenthesedStatement;
import net.sf.jsqlparser.statement.Statement;
import net.sf.jsqlparser.statement.select.PlainSelect;
import net.sf.jsqlparser.statement.select.Select;

/**
 * Walks everything the parser built. By fields, not by visitor: the library's visitors skip ORDER
 * BY, LIMIT and other places, and a kind of node nobody thought of must not be a place to hide.
 */
final class SyntaxTree {

  private static final ClassValue<Field[]> FIELDS =
      new ClassValue<>() {
        @Override
        protected Field[] computeValue(Class<?> type) {
          List<Field> fields = new ArrayList<>();
          for (Class<?> c = type; c != null && isNode(c); c = c.getSuperclass()) {
            for (Field field : c.getDeclaredFields()) {
              boolean leaf =
                  field.getType().isPrimitive()
                      || field.getType() == String.class
                      || field.getType().getName().startsWith("net.sf.jsqlparser.parser.");
              if (!Modifier.isStatic(field.getModifiers()) && !leaf) {
                field.setAccessible(true);
                fields.add(field);
              }
            }
          }
          return fields.toArray(Field[]::new);
        }
      };

  private SyntaxTree() {}

  private static boolean isNode(Class<?> type) {
    return type.getName().startsWith("net.sf.jsqlparser.");
  }

  /** Why the tree is no read, or empty. */
  static Optional<String> objection(Statement root) {
    Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    Deque<Object> open = new ArrayDeque<>();
    open.push(root);
    while (!open.isEmpty()) {
      Object node = open.pop();
      if (!seen.add(node)) {
        continue;
      }
      Optional<String> objection = objectionTo(node);
      if (objection.isPresent()) {
        return objection;
      }
      push(node, open);
    }
    return Optional.empty();
  }

  private static Optional<String> objectionTo(Object node) {
    boolean statement = node instanceof Statement || node instanceof ParenthesedStatement;
    if (statement && !(node instanceof Select) && !(node instanceof ExplainStatement)) {
      return Optional.of("it contains a statement of the kind " + node.getClass().getSimpleName());
    }
    if (node instanceof PlainSelect select
        && ((select.getIntoTables() != null && !select.getIntoTables().isEmpty())
            || select.getIntoTempTable() != null)) {
      return Optional.of("INTO stores the result somewhere");
    }
    if (node instanceof Select select
        && (select.getForMode() != null || select.getForUpdateTable() != null)) {
      return Optional.of("it locks the rows it reads");
    }
    if (node instanceof NextValExpression || node instanceof VariableAssignment) {
      return Optional.of("it changes a sequence or a variable");
    }
    return Optional.empty();
  }

  private static void push(Object node, Deque<Object> open) {
    if (node instanceof Collection<?> items) {
      for (Object item : items) {
        if (item != null) {
          open.push(item);
        }
      }
    } else if (node instanceof Map<?, ?> map) {
      push(map.values(), open);
    } else if (node instanceof Object[] items) {
      push(Arrays.asList(items), open);
    }
    if (!isNode(node.getClass()) || node instanceof Enum) {
      return;
    }
    try {
      for (Field field : FIELDS.get(node.getClass())) {
        Object value = field.get(node);
        if (value != null) {
          open.push(value);
        }
      }
    } catch (IllegalAccessException e) {
      throw new IllegalStateException("the parser's tree cannot be read", e);
    }
  }
}
