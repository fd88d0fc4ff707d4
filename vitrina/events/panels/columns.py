"""The columns of the bank's monthly panel: what train_ver2.csv calls them, what requests call them, what they hold.

A month is the int32 `year * 12 + month - 1`. A portfolio is a uint32 mask: bit p is the product at place p of PRODUCTS.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

Kind = Literal["category", "number", "date", "flag"]


@dataclass(frozen=True, kw_only=True)
class Product:
    """`code` is the column of train_ver2.csv, `column` that of requests; the names are what clients see."""

    code: str
    column: str
    russian: str
    english: str


@dataclass(frozen=True, kw_only=True)
class ProfileColumn:
    """`raw` is the column of train_ver2.csv, `name` that of requests and of every table after the reader."""

    raw: str
    name: str
    kind: Kind


MONTH_COLUMN: Final = ("fecha_dato", "fetch_date")
CUSTOMER_COLUMN: Final = ("ncodpers", "id")
PRODUCT_COLUMN: Final = "product"
"""The third column of an acquisitions extract; it holds a product's code."""

PANEL_FILE: Final = "panel.parquet"


def _product(code: str, column: str, russian: str, english: str) -> Product:
    return Product(code=f"ind_{code}_ult1", column=f"ind_1m_{column}", russian=russian, english=english)


def _profile(raw: str, name: str, kind: Kind) -> ProfileColumn:
    return ProfileColumn(raw=raw, name=name, kind=kind)


PRODUCTS: Final[tuple[Product, ...]] = (
    _product("ahor_fin", "savings_acc", "Сберегательный счёт", "Savings account"),
    _product("aval_fin", "guarantee", "Банковская гарантия", "Guarantee"),
    _product("cco_fin", "checking_acc", "Текущий счёт", "Current account"),
    _product("cder_fin", "derivatives", "Счёт для производных инструментов", "Derivatives account"),
    _product("cno_fin", "payroll_acc", "Зарплатный счёт", "Payroll account"),
    _product("ctju_fin", "junior_acc", "Детский счёт", "Junior account"),
    _product("ctma_fin", "mature_acc_3", "Личный счёт «Мас»", "Personal account Más"),
    _product("ctop_fin", "operations_acc", "Личный счёт", "Personal account"),
    _product("ctpp_fin", "pension_acc_2", "Личный счёт «Плюс»", "Personal account Plus"),
    _product("deco_fin", "short_term_deposit", "Краткосрочный вклад", "Short-term deposit"),
    _product("deme_fin", "medium_term_deposit", "Среднесрочный вклад", "Medium-term deposit"),
    _product("dela_fin", "long_term_deposit", "Долгосрочный вклад", "Long-term deposit"),
    _product("ecue_fin", "digital_account", "Цифровой счёт", "Digital account"),
    _product("fond_fin", "cash_funds", "Инвестиционные фонды", "Investment funds"),
    _product("hip_fin", "mortgage", "Ипотека", "Mortgage"),
    _product("plan_fin", "pension_plan", "Пенсионный план", "Pension plan"),
    _product("pres_fin", "loans", "Кредит", "Loan"),
    _product("reca_fin", "tax_account", "Уплата налогов", "Tax payments"),
    _product("tjcr_fin", "credit_card", "Кредитная карта", "Credit card"),
    _product("valo_fin", "securities", "Ценные бумаги", "Securities"),
    _product("viv_fin", "home_acc", "Счёт на жильё", "Home account"),
    _product("nomina", "salary_acc", "Зачисление зарплаты", "Salary deposit"),
    _product("nom_pens", "pension_obligation_account", "Зачисление пенсии", "Pension deposit"),
    _product("recibo", "debit_account", "Автоматические платежи", "Direct debit"),
)
"""In the order of train_ver2.csv, which is the order of the bits."""

PROFILE: Final[tuple[ProfileColumn, ...]] = (
    _profile("ind_empleado", "ind_employee", "category"),
    _profile("pais_residencia", "country_of_residence", "category"),
    _profile("sexo", "gender", "category"),
    _profile("age", "age", "number"),
    _profile("fecha_alta", "registration_date", "date"),
    _profile("ind_nuevo", "ind_new_client", "flag"),
    _profile("antiguedad", "tenure_months", "number"),
    _profile("indrel", "client_relationship_status", "category"),
    _profile("ult_fec_cli_1t", "last_date_as_primary", "date"),
    _profile("indrel_1mes", "client_type_1m", "category"),
    _profile("tiprel_1mes", "client_activity_1m", "category"),
    _profile("indresi", "ind_resident", "flag"),
    _profile("indext", "ind_foreigner", "flag"),
    _profile("conyuemp", "ind_spouse_employee", "flag"),
    _profile("canal_entrada", "entry_channel", "category"),
    _profile("indfall", "ind_deceased", "flag"),
    _profile("tipodom", "address_type", "category"),
    _profile("cod_prov", "province_code", "category"),
    _profile("nomprov", "province_name", "category"),
    _profile("ind_actividad_cliente", "ind_client_activity", "flag"),
    _profile("renta", "income", "number"),
    _profile("segmento", "client_segment", "category"),
)
"""In the order of train_ver2.csv, where they stand between the customer and the products."""

ALL_KNOWN: Final = (1 << len(PRODUCTS)) - 1
RAW_HEADER: Final[tuple[str, ...]] = (
    MONTH_COLUMN[0],
    CUSTOMER_COLUMN[0],
    *(column.raw for column in PROFILE),
    *(product.code for product in PRODUCTS),
)
"""The 48 columns of train_ver2.csv."""
NAMED_HEADER: Final[tuple[str, ...]] = (
    MONTH_COLUMN[1],
    CUSTOMER_COLUMN[1],
    *(column.name for column in PROFILE),
    *(product.column for product in PRODUCTS),
)
"""The same 48 as requests name them."""
NAME_OF: Final[dict[str, str]] = {
    **dict(zip(RAW_HEADER, NAMED_HEADER, strict=True)),
    **{name: name for name in NAMED_HEADER},
}
"""The request's name of a column, by either name."""
RAW_OF: Final[dict[str, str]] = dict(zip(NAMED_HEADER, RAW_HEADER, strict=True))
"""The name in train_ver2.csv of a column, by its name in requests."""


def month_of(day: date) -> int:
    """The month of a day."""
    return day.year * 12 + day.month - 1


def month_text(month: int) -> str:
    """ "2015-01" of 24180."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
