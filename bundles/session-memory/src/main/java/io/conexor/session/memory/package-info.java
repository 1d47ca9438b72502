/** Login sessions in the memory of one backend. */
@NullMarked
package io.conexor.session.memory;

import org.jspecify.annotations.NullMarked;
