/** Messages between backends through Redis. */
@NullMarked
package io.conexor.backplane.redis;

import org.jspecify.annotations.NullMarked;
