/** The HTTP server: routes as a whiteboard, drain and limits. */
@NullMarked
package io.conexor.http;

import org.jspecify.annotations.NullMarked;
