package io.conexor.api.call;

import java.util.List;

/**
 * Some rows of a result, as they came over the wire: concatenated MessagePack arrays, read with
 * {@code io.conexor.protocol.rows}.
 *
 * @param columns the same instance in every batch of a result
 * @param data shared, not to be changed; valid only during the call that hands it over
 */
public record RowBatch(List<Column> columns, int rows, byte[] data, int offset, int length) {}
