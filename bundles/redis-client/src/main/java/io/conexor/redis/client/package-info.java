/** Turns each description of a Redis installation into one connected client. */
@NullMarked
package io.conexor.redis.client;

import org.jspecify.annotations.NullMarked;
