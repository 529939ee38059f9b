// docs/spec.md, sections 1 to 3 and 5, transcribed into Verilog in wide integers: what the units are proved against.
// Written to be read beside it, not to be synthesized. Macros, set by proof.py: E and M, the bits of exponent and
// mantissa; W, of wide integers; C, the compensation; NARROW_E and NARROW_M, the format that widen() reads; OPERANDS
// and OPERATION; of a sum, SUMMANDS, for a proof in cases, and TERM, the product among them.

module specification (`OPERANDS, output [`E+`M:0] y);
  localparam E = `E;
  localparam M = `M;
  localparam BIAS = 2**(E-1) - 1;
  localparam W = `W;

  localparam signed [W-1:0] UNIT = 1;
  localparam signed [W-1:0] STEP = UNIT <<< M;
  localparam signed [W-1:0] MIN = STEP;
  localparam signed [W-1:0] ONE = BIAS * STEP;
  localparam signed [W-1:0] INF = (2**E - 1) * STEP;
  localparam signed [W-1:0] OFFSET = `C;
  localparam [E+M:0] NAN = INF + (STEP >>> 1);

  function signed [W-1:0] mag(input [E+M:0] x);
    mag = {{(W-E-M){1'b0}}, x[E+M-1:0]};
  endfunction

  function sign(input [E+M:0] x);
    sign = x[E+M];
  endfunction

  function is_nan(input [E+M:0] x);
    is_nan = mag(x) > INF;
  endfunction

  function is_infinite(input [E+M:0] x);
    is_infinite = mag(x) == INF;
  endfunction

  // A denormal operand counts as the zero of its sign.
  function is_zero(input [E+M:0] x);
    is_zero = mag(x) < MIN;
  endfunction

  function [E+M:0] zero(input s);
    zero = {s, {(E+M){1'b0}}};
  endfunction

  function [E+M:0] infinity(input s);
    infinity = {s, INF[E+M-1:0]};
  endfunction

  function [E+M:0] finish(input s, input signed [W-1:0] t);
    if (t < MIN) finish = zero(s);
    else if (t >= INF) finish = infinity(s);
    else finish = {s, t[E+M-1:0]};
  endfunction

  // Section 2.
  function [E+M:0] mul(input [E+M:0] x, input [E+M:0] z);
    reg s;
    begin
      s = sign(x) ^ sign(z);
      if (is_nan(x) || is_nan(z)) mul = NAN;
      else if (is_infinite(x) && is_zero(z) || is_zero(x) && is_infinite(z)) mul = NAN;
      else if (is_infinite(x) || is_infinite(z)) mul = infinity(s);
      else if (is_zero(x) || is_zero(z)) mul = zero(s);
      else mul = finish(s, mag(x) + mag(z) - ONE + OFFSET);
    end
  endfunction

  function [E+M:0] div(input [E+M:0] x, input [E+M:0] z);
    reg s;
    begin
      s = sign(x) ^ sign(z);
      if (is_nan(x) || is_nan(z)) div = NAN;
      else if (is_zero(x) && is_zero(z) || is_infinite(x) && is_infinite(z)) div = NAN;
      else if (is_zero(z)) div = infinity(s);
      else if (is_infinite(x)) div = infinity(s);
      else if (is_infinite(z) || is_zero(x)) div = zero(s);
      else div = finish(s, mag(x) - mag(z) + ONE);
    end
  endfunction

  // A whole number divided by 2^places.
  function signed [W-1:0] round_half_even(input signed [W-1:0] number, input integer places);
    reg signed [W-1:0] whole, rest, divisor;
    begin
      divisor = UNIT <<< places;
      whole = number >>> places;
      rest = number - (whole <<< places);
      if (2 * rest > divisor || 2 * rest == divisor && whole[0]) round_half_even = whole + 1;
      else round_half_even = whole;
    end
  endfunction

  function signed [W-1:0] exponent(input [E+M:0] x);
    exponent = mag(x) >>> M;
  endfunction

  function signed [W-1:0] significand(input [E+M:0] x);
    significand = {{(W-M-1){1'b0}}, 1'b1, x[M-1:0]};
  endfunction

  // Section 3. x is significand * 2^(exponent - BIAS - M).
  function [E+M:0] exp2(input [E+M:0] x);
    reg signed [W-1:0] fixed;
    begin
      fixed = is_zero(x) ? 0 : round_half_even(significand(x) <<< exponent(x), BIAS);
      if (is_nan(x)) exp2 = NAN;
      else if (is_infinite(x)) exp2 = sign(x) ? zero(1'b0) : infinity(1'b0);
      else exp2 = finish(1'b0, (sign(x) ? -fixed : fixed) + ONE);
    end
  endfunction

  // number * 2^-fraction_bits, rounded half-even to the format. number is at least 1.
  function [E+M:0] from_fixed_point(input s, input signed [W-1:0] number, input signed [W-1:0] fraction_bits);
    integer place, top;
    reg signed [W-1:0] rounded;
    begin
      top = 0;
      for (place = 0; place < W - 1; place = place + 1) if (number[place]) top = place;
      if (top > M) rounded = round_half_even(number, top - M);
      else rounded = number <<< (M - top);
      from_fixed_point = finish(s, (top - fraction_bits + BIAS) * STEP + rounded - STEP);
    end
  endfunction

  function [E+M:0] log2(input [E+M:0] x);
    reg signed [W-1:0] number;
    begin
      number = mag(x) - ONE;
      if (is_nan(x)) log2 = NAN;
      else if (is_zero(x)) log2 = infinity(1'b1);
      else if (sign(x)) log2 = NAN;
      else if (is_infinite(x)) log2 = infinity(1'b0);
      else if (number == 0) log2 = zero(1'b0);
      else log2 = from_fixed_point(number < 0, number < 0 ? -number : number, M);
    end
  endfunction

  // Section 5. The exact sum is taken in units of the last place of the operand with the smaller exponent, "lower". An
  // operand that is FAR or more places below the other one, but not zero, is taken to be FAR places below: wherever it
  // is, it moves the sum by less than a quarter of the other one's last place, which rounding undoes.
  localparam FAR = M + 3;

  function signed [W-1:0] places_between(input [E+M:0] x, input [E+M:0] z);
    reg signed [W-1:0] places;
    begin
      places = exponent(x) < exponent(z) ? exponent(z) - exponent(x) : exponent(x) - exponent(z);
      places_between = places > FAR ? FAR : places;
    end
  endfunction

  function signed [W-1:0] signed_significand(input [E+M:0] x);
    signed_significand = is_zero(x) ? 0 : sign(x) ? -significand(x) : significand(x);
  endfunction

  function [E+M:0] add(input [E+M:0] x, input [E+M:0] z, input signed [W-1:0] places);
    reg x_lower;
    reg signed [W-1:0] total, lower_exponent;
    begin
      x_lower = exponent(x) < exponent(z);
      lower_exponent = (x_lower ? exponent(z) : exponent(x)) - places;
      total = x_lower ? signed_significand(x) + (signed_significand(z) <<< places)
                      : (signed_significand(x) <<< places) + signed_significand(z);
      if (is_nan(x) || is_nan(z)) add = NAN;
      else if (is_infinite(x) && is_infinite(z)) add = sign(x) == sign(z) ? x : NAN;
      else if (is_infinite(x)) add = x;
      else if (is_infinite(z)) add = z;
      else if (is_zero(x) && is_zero(z)) add = zero(sign(x) && sign(z));
      else if (total == 0) add = zero(1'b0);
      else add = from_fixed_point(total < 0, total < 0 ? -total : total, BIAS + M - lower_exponent);
    end
  endfunction

  // The same number of a narrower format; its denormals count as zero.
  function [E+M:0] widen(input [`NARROW_E+`NARROW_M:0] x);
    reg [`NARROW_E+`NARROW_M-1:0] m;
    begin
      m = x[`NARROW_E+`NARROW_M-1:0];
      if (m >> `NARROW_M == 0) widen = zero(x[`NARROW_E+`NARROW_M]);
      else if (m >> `NARROW_M == 2**`NARROW_E - 1) widen = m[`NARROW_M-1:0] == 0 ? infinity(x[`NARROW_E+`NARROW_M]) : NAN;
      else widen = {x[`NARROW_E+`NARROW_M], {(E+M){1'b0}}}
                   | (m * (UNIT <<< (M - `NARROW_M)) + (BIAS - (2**(`NARROW_E-1) - 1)) * STEP);
    end
  endfunction

  // The IEEE product of numbers of the narrower format (or of the same): exact, then rounded half-even and flushed.
  function signed [W-1:0] narrow_exponent(input [`NARROW_E+`NARROW_M:0] x);
    narrow_exponent = {{(W-`NARROW_E){1'b0}}, x[`NARROW_E+`NARROW_M-1:`NARROW_M]};
  endfunction

  function [E+M:0] product(input [`NARROW_E+`NARROW_M:0] x, input [`NARROW_E+`NARROW_M:0] z);
    reg s;
    reg [E+M:0] p, q;
    reg [2*`NARROW_M+1:0] exact;
    begin
      p = widen(x);
      q = widen(z);
      s = sign(p) ^ sign(q);
      exact = {1'b1, x[`NARROW_M-1:0]} * {1'b1, z[`NARROW_M-1:0]};
      if (is_nan(p) || is_nan(q)) product = NAN;
      else if (is_infinite(p) && is_zero(q) || is_zero(p) && is_infinite(q)) product = NAN;
      else if (is_infinite(p) || is_infinite(q)) product = infinity(s);
      else if (is_zero(p) || is_zero(q)) product = zero(s);
      else product = from_fixed_point(s, exact, 2 * (`NARROW_M + 2**(`NARROW_E-1) - 1) - narrow_exponent(x) - narrow_exponent(z));
    end
  endfunction

`ifdef TERM
  (* keep *) wire [E+M:0] term;
  assign term = `TERM;
`endif
`ifdef SUMMANDS
  (* keep *) wire [W-1:0] places;
  assign places = places_between(`SUMMANDS);
`endif
  assign y = `OPERATION;
endmodule
